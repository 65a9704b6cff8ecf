"""Schedules: plain functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

from understudy.errors import RecipeError
from understudy.objectives.context import PlanContext

Schedule = Callable[[PlanContext], float]


def constant(value: float) -> Schedule:
    """The same value at every step.

    >>> constant(0.5)(PlanContext(step=3, total_steps=10))
    0.5
    """
    return lambda _: value


def linear(start: float, end: float, *, over_steps: int | None = None) -> Schedule:
    """From ``start`` at step 0 to ``end`` at step ``over_steps`` (default: the last step), then ``end``.

    >>> linear(1.0, 0.0)(PlanContext(step=2, total_steps=5))
    0.5
    """
    _refuse_negative(over_steps)
    return lambda context: start + (end - start) * _part(context, over_steps)


def cosine(start: float, end: float, *, over_steps: int | None = None) -> Schedule:
    """As ``linear`` along half a cosine wave.

    >>> round(cosine(1.0, 0.0)(PlanContext(step=1, total_steps=5)), 4)
    0.8536
    """
    _refuse_negative(over_steps)
    return lambda context: end + (start - end) * (1 + math.cos(math.pi * _part(context, over_steps))) / 2


def as_schedule(value: float | Schedule) -> Schedule:
    """A number as a constant schedule; a schedule as it is."""
    return value if callable(value) else constant(value)


def _part(context: PlanContext, over_steps: int | None) -> float:
    last = context.total_steps - 1 if over_steps is None else over_steps
    return min(context.step / last, 1.0) if last > 0 else 1.0


def _refuse_negative(over_steps: int | None) -> None:
    if over_steps is not None and over_steps < 0:
        raise RecipeError(
            "a schedule ends before it starts", got=f"over_steps {over_steps}", expected="0 or more steps"
        )
