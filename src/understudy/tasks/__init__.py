"""Problems and how their answers are judged."""

from understudy.tasks.loaders import data_fingerprint, gold_completion, load_tasks, read_rows, tasks_from
from understudy.tasks.rows import Row
from understudy.tasks.templates import Template, parse_template
from understudy.tasks.verifiers import Verdict, Verifier, verifier_from

__all__ = [
    "Row",
    "Template",
    "Verdict",
    "Verifier",
    "data_fingerprint",
    "gold_completion",
    "load_tasks",
    "parse_template",
    "read_rows",
    "tasks_from",
    "verifier_from",
]
