"""WorkBench: office work by tools over five tables, judged by what the tables hold at the end."""

from understudy.environments.workbench.box import WorkbenchBoxes
from understudy.environments.workbench.databases import Databases, read_databases
from understudy.environments.workbench.queries import Query, load_queries

__all__ = ["Databases", "Query", "WorkbenchBoxes", "load_queries", "read_databases"]
