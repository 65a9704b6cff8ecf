"""What a task's work is judged by: criteria with points, in GDPval's form, and the score they add up to."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.errors import DataError
from understudy.evaluation.grading.showing import well_formed

LEAST_GRADED = 0.9
"""A task's score needs at least this share of the rubric's points (without their signs) graded; our choice."""


@dataclass(frozen=True)
class Criterion:
    """One line of a rubric.

    Args:
        id: within the rubric. criterion: what is to be met. points: what meeting it is worth; negative is a penalty.
    """

    id: str
    criterion: str
    points: float


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


def rubric_of(value: object) -> tuple[Criterion, ...]:
    """A rubric from GDPval's ``rubric_json``: ``[{score, criterion, required, rubric_item_id}, ...]``, or its text.

    Raises:
        DataError: it is none, has no criterion with positive points, or an identifier twice.
    """
    entries = _listed(value)
    found = tuple(_criterion(entry, number) for number, entry in enumerate(entries, 1))
    ids = [criterion.id for criterion in found]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise DataError("a rubric has one identifier twice", got=repr(twice))
    if not any(criterion.points > 0 for criterion in found):
        raise DataError("a rubric has no criterion with positive points", got=f"{len(found)} criteria")
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


def _listed(value: object) -> list[object]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise DataError("a rubric is no JSON", got=str(error)) from error
    if not isinstance(value, list) or not value:
        raise DataError(
            "a rubric is no list of criteria", got=type(value).__name__, expected="[{score, criterion}, ...]"
        )
    return value


def _criterion(entry: object, number: int) -> Criterion:
    if not isinstance(entry, Mapping):
        raise DataError(f"criterion {number} of a rubric is no record", got=type(entry).__name__)
    points = entry.get("score", entry.get("points"))
    text = entry.get("criterion")
    if isinstance(points, bool) or not isinstance(points, int | float) or not math.isfinite(points):
        raise DataError(f"criterion {number} of a rubric has no points", got=repr(points), expected="score: a number")
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"criterion {number} of a rubric has no words", got=repr(text), expected="criterion: text")
    name = entry.get("rubric_item_id", entry.get("id"))
    return Criterion(str(number if name is None else name), well_formed(text.strip()), float(points))
