"""What graders said of a criterion, what came of it, and why a vote may be missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "unreadable", "left out", "contradicts itself", "refused", "cut short", "time-out", "server fault", "down"
]
"""Why a grader gave no vote: ``unreadable``: its answer is not the JSON asked for. ``left out``: the answer does not
name the criterion. ``refused``: the model, its filter or its server will not answer this. ``down``: the grader was
given up."""

PASSING: tuple[Reason, ...] = ("time-out", "server fault", "down")
"""Reasons that lie with the connection: asked again by the next run."""


@dataclass(frozen=True)
class Vote:
    """One grader's word on one criterion.

    Args:
        met: its verdict; None is ungraded, which is never the same as not met. why: what the grader gave as its reason.
        reason: why it is ungraded; None where it is graded.
    """

    met: bool | None
    why: str = ""
    reason: Reason | None = None


def majority(votes: Sequence[bool | None], *, num_graders: int | None = None) -> bool | None:
    """What more than half of all graders said, those without a vote counted in; None where neither side has that.

    >>> majority([True, True, False]), majority([True, None, True]), majority([True, None, False])
    (True, True, None)

    Args:
        votes: one a grader. num_graders: where that is more than the votes.
    """
    needed = (len(votes) if num_graders is None else num_graders) / 2
    if sum(vote is True for vote in votes) > needed:
        return True
    return False if sum(vote is False for vote in votes) > needed else None
