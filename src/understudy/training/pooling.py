"""Figures that remember what they are the mean of, so that those of several ranks become those of all rollouts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from torch import Tensor

from understudy.training.ranks import Ranks, gathered

How = Literal["mean", "sum", "min", "max", "same"]


class Figure(float):
    """A figure of one rank's rollouts.

    Attributes:
        how: it becomes one with those of other ranks; ``same`` has one value everywhere. weight: of a mean.
    """

    how: How
    weight: float

    def __new__(cls, value: float, how: How, weight: float = 1.0) -> Figure:
        """A float that knows ``how``."""
        figure = super().__new__(cls, value)
        figure.how, figure.weight = how, weight
        return figure


def mean(values: Sequence[float] | Tensor) -> Figure:
    """The mean of at least one value.

    >>> figure = mean([1.0, 2.0])
    >>> float(figure), figure.weight
    (1.5, 2.0)
    """
    if isinstance(values, Tensor):
        return Figure(float(values.double().mean()), "mean", float(values.numel()))
    return Figure(fmean(values), "mean", float(len(values)))


def share(part: float, whole: float) -> Figure:
    """``part / whole``: over all ranks the sum of the parts by the sum of the wholes."""
    return Figure(part / whole, "mean", float(whole))


def total(value: float) -> Figure:
    """A sum or a count."""
    return Figure(value, "sum")


def pooled(ranks: Ranks, figures: Mapping[str, float]) -> dict[str, float]:
    """The figures of all ranks' rollouts together, equal on every rank; one that some rank lacks is of the others."""
    if ranks.size == 1:
        return dict(figures)
    rows = [[name, float(value), *_kind(value)] for name, value in figures.items()]
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    hows: dict[str, str] = {}
    for told in gathered(ranks, rows):
        for name, value, how, weight in told:
            found[name].append((value, weight))
            hows.setdefault(name, how)
    return {name: _together(values, hows[name]) for name, values in found.items()}


def _kind(value: float) -> tuple[How, float]:
    return (value.how, value.weight) if isinstance(value, Figure) else ("same", 1.0)


def _together(values: Sequence[tuple[float, float]], how: str) -> float:
    alone = [value for value, _ in values]
    if how == "sum":
        return math.fsum(alone)
    if how in ("min", "max"):
        return min(alone) if how == "min" else max(alone)
    if how == "mean":
        return math.fsum(value * weight for value, weight in values) / math.fsum(weight for _, weight in values)
    return alone[0]
