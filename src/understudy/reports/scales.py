"""Axes: round bounds and round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_LARGEST = 1e300
"""Of an axis: the difference of two values beyond it may be no number."""


@dataclass(frozen=True)
class Axis:
    """Values ``low`` to ``high`` laid on ``start`` to ``end`` of the drawing; ``high`` is above ``low``.

    >>> Axis(0, 10, start=100, end=0).place(2.5)
    75.0
    """

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value stands in the drawing."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def round_step(span: float, *, target: int) -> float:
    """The step of 1, 2 or 5 times a power of ten that cuts ``span`` into at most about ``target`` parts.

    >>> round_step(8, target=4), round_step(0.37, target=4)
    (2.0, 0.1)
    """
    raw = span / target
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * (1 - 1e-9))


def bounds(values: Sequence[float], *, with_zero: bool) -> tuple[float, float]:
    """Lowest and highest value, widened where they are equal and to zero where asked.

    >>> bounds([2.0, 3.0], with_zero=True), bounds([3.0], with_zero=False)
    ((0.0, 3.0), (2.0, 4.0))
    """
    low, high = max(min(values, default=0.0), -_LARGEST), min(max(values, default=1.0), _LARGEST)
    if with_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-12):
        room = abs(high) / 3 or 1.0
        low, high = (low if with_zero and low == 0 else low - room), high + room
    return low, high


def ticks(low: float, high: float, *, target: int = 4, whole: bool = False) -> list[float]:
    """Round values within the bounds; ``whole`` for numbers of steps.

    >>> ticks(0, 3), ticks(0, 1, whole=True)
    ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0])
    """
    step = round_step(high - low, target=target)
    step = max(step, 1.0) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) + 0.0 for index in range(first, last + 1)]


def round_bounds(low: float, high: float, *, target: int = 4) -> tuple[float, float]:
    """The bounds widened to the next ticks.

    >>> round_bounds(0, 2.58)
    (0.0, 3.0)
    """
    step = round_step(high - low, target=target)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
