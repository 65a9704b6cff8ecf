"""Whether a text follows instructions that a program can check: those of IFEval and IFBench."""

from understudy.tasks.instructions.checks import CHECKS
from understudy.tasks.instructions.given import Check, Given

__all__ = ["CHECKS", "Check", "Given"]
