"""An office of some dozens of words, whose files are real."""

from understudy.environments.tiny_office.documents import Document, Line, Row
from understudy.environments.tiny_office.errands import THINGS, Errand, errand_of, task_of, tiny_office_tasks
from understudy.environments.tiny_office.guide import careful, hasty
from understudy.environments.tiny_office.rubric import Criterion, grade, score_of
from understudy.environments.tiny_office.wishes import Wish, Work, wish_of
from understudy.environments.tiny_office.words import office_manner, tiny_office_vocabulary
from understudy.environments.tiny_office.workspaces import InMemory, OnDisk, Workspace
from understudy.environments.tiny_office.world import DELIVERABLE_RATE, EFFICIENCY_RATE, MAX_TURNS, TinyOffice

__all__ = [
    "DELIVERABLE_RATE",
    "EFFICIENCY_RATE",
    "MAX_TURNS",
    "THINGS",
    "Criterion",
    "Document",
    "Errand",
    "InMemory",
    "Line",
    "OnDisk",
    "Row",
    "TinyOffice",
    "Wish",
    "Work",
    "Workspace",
    "careful",
    "errand_of",
    "grade",
    "hasty",
    "office_manner",
    "score_of",
    "task_of",
    "tiny_office_tasks",
    "tiny_office_vocabulary",
    "wish_of",
]
