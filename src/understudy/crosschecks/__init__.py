"""The same model on the same suite in somebody else's harness: do the two agree?"""

from understudy.crosschecks.agreement import Agreement, agreement
from understudy.crosschecks.running import HARNESSES, cross_check

__all__ = ["HARNESSES", "Agreement", "agreement", "cross_check"]
