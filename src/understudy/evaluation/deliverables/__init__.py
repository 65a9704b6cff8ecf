"""Files that a model hands in: read safely, in one form for graders, checks and pages."""

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Block, Deliverable, Image, Kind, Link, Sheet, Value, shown
from understudy.evaluation.deliverables.limits import ReadingLimits
from understudy.evaluation.deliverables.reading import read_deliverable
from understudy.evaluation.deliverables.recalculating import libreoffice

__all__ = [
    "Block",
    "Deliverable",
    "DeliverableError",
    "Image",
    "Kind",
    "Link",
    "ReadingLimits",
    "Sheet",
    "Value",
    "libreoffice",
    "read_deliverable",
    "shown",
]
