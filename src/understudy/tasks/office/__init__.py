"""Office tasks: what is asked, which files come with it, and what is looked for in what is handed in."""

from understudy.tasks.office.gdpval import load_gdpval
from understudy.tasks.office.loading import Loaded, load_office_tasks
from understudy.tasks.office.office_task import Check, Criterion, HandIn, OfficeTask, Reference, Scoring
from understudy.tasks.office.officebench import load_officebench
from understudy.tasks.office.own import OwnTask, load_own

__all__ = [
    "Check",
    "Criterion",
    "HandIn",
    "Loaded",
    "OfficeTask",
    "OwnTask",
    "Reference",
    "Scoring",
    "load_gdpval",
    "load_office_tasks",
    "load_officebench",
    "load_own",
]
