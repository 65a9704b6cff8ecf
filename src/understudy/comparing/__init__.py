"""Two models against each other: every figure that may be quoted, a page to leaf through, and what was lost."""

from understudy.comparing.comparing import compare
from understudy.comparing.contest import Contest, Terms, contest
from understudy.comparing.regression import Change, Regression, regression
from understudy.comparing.report import Comparison, compare_results

__all__ = [
    "Change",
    "Comparison",
    "Contest",
    "Regression",
    "Terms",
    "compare",
    "compare_results",
    "contest",
    "regression",
]
