"""What a task's work is judged by: criteria with points, in GDPval's form, and the score they add up to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from understudy.errors import DataError
from understudy.evaluation.grading.showing import well_formed
from understudy.tasks.office import Criterion
from understudy.tasks.office.gdpval import rubric_of as gdpval_rubric

LEAST_GRADED = 0.9
"""A task's score needs at least this share of the rubric's points (without their signs) graded; our choice."""


@dataclass(frozen=True)
class Score:
    """A task's score and how sure the graders left it.

    Args:
        score: 0 to 1 over the graded criteria; None where too few are graded. low, high: the score if every ungraded
            criterion went against, or for, the work. num_ungraded: criteria.
    """

    score: float | None
    low: float
    high: float
    num_ungraded: int


def rubric_of(value: object, *, where: str = "a rubric") -> tuple[Criterion, ...]:
    """A rubric from GDPval's ``rubric_json``: ``[{score, criterion, rubric_item_id}, ...]``, or its text.

    Raises:
        DataError: it is none, has no criterion with positive points, or an identifier twice. It names ``where``.
    """
    found = tuple(replace(one, criterion=well_formed(one.criterion)) for one in gdpval_rubric(value, where=where))
    ids = [criterion.id for criterion in found]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise DataError(f"{where} has one identifier twice", got=repr(twice))
    if not all(math.isfinite(criterion.points) for criterion in found):
        raise DataError(f"{where} has points that are no number")
    if not any(criterion.points > 0 for criterion in found):
        raise DataError(f"{where} has no criterion with positive points", got=f"{len(found)} criteria")
    return found


def score_of(rubric: Sequence[Criterion], met: Sequence[bool | None], *, least: float = LEAST_GRADED) -> Score:
    """clip(sum(points * met) / sum(positive points), 0, 1) over the graded criteria.

    An ungraded criterion (None) is left out of both sums; ``low`` and ``high`` say what it could have done.

    >>> rubric = [Criterion("a", "", 3), Criterion("b", "", 1), Criterion("c", "", -2)]
    >>> score_of(rubric, [True, False, False]).score, score_of(rubric, [True, False, True]).score
    (0.75, 0.25)

    Args:
        rubric: its criteria. met: of each, None where it is ungraded. least: see ``LEAST_GRADED``.
    Source: GDPval's grading rule, arXiv:2510.04374; what to do with ungraded criteria is our choice.
    """
    pairs = list(zip(rubric, met, strict=True))
    low = _clipped([(c, bool(m) if m is not None else c.points < 0) for c, m in pairs])
    high = _clipped([(c, bool(m) if m is not None else c.points > 0) for c, m in pairs])
    graded = [(criterion, verdict) for criterion, verdict in pairs if verdict is not None]
    weight = sum(abs(criterion.points) for criterion in rubric)
    share = sum(abs(criterion.points) for criterion, _ in graded) / weight if weight else 0.0
    known = share >= least and any(criterion.points > 0 for criterion, _ in graded)
    return Score(_clipped(graded) if known else None, low, high, len(pairs) - len(graded))


def _clipped(graded: Sequence[tuple[Criterion, bool]]) -> float:
    whole = math.fsum(criterion.points for criterion, _ in graded if criterion.points > 0)
    got = math.fsum(criterion.points for criterion, verdict in graded if verdict)
    return min(1.0, max(0.0, got / whole)) if whole else 0.0
