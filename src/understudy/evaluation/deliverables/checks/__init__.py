"""What of a deliverable can be counted without a grader."""

from understudy.evaluation.deliverables.checks.counting import counts_of
from understudy.evaluation.deliverables.checks.summing import checks_of, summed
from understudy.evaluation.deliverables.checks.wishes import Wishes, wishes_in

__all__ = ["Wishes", "checks_of", "counts_of", "summed", "wishes_in"]
