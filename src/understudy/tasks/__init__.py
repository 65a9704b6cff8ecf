"""Problems and how their answers are judged."""

from understudy.tasks.loaders import Loaded, load, load_tasks, loaded_from, tasks_from
from understudy.tasks.prompts import gold_completion, teacher_text
from understudy.tasks.rows import Row, is_file_name
from understudy.tasks.sources import data_fingerprint, domain_of, read_rows
from understudy.tasks.templates import Template, parse_template
from understudy.tasks.verdicts import Verdict, Verifier
from understudy.tasks.verifiers import verifier_from

__all__ = [
    "Loaded",
    "Row",
    "Template",
    "Verdict",
    "Verifier",
    "data_fingerprint",
    "domain_of",
    "gold_completion",
    "is_file_name",
    "load",
    "load_tasks",
    "loaded_from",
    "parse_template",
    "read_rows",
    "tasks_from",
    "teacher_text",
    "verifier_from",
]
