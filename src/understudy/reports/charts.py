"""What is drawn: columns of figures over steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from understudy.reports.figures import duration, number, percent

Form = Literal["number", "share", "seconds"]
Column = tuple[float | None, ...]


@dataclass(frozen=True)
class Series:
    """One curve.

    Args:
        label: in the legend. values: one a step of the chart; None where there is none. slot: number of its colour.
        lows, highs: an interval around each value; empty where there is none. behind: as measured, drawn faintly behind
            smoothed ``values``; empty where these are not smoothed.
    """

    label: str
    values: Column
    slot: int = 0
    lows: Column = ()
    highs: Column = ()
    behind: Column = ()

    @property
    def last(self) -> float | None:
        """The newest value."""
        return next((value for value in reversed(self.values) if value is not None), None)


@dataclass(frozen=True)
class Rule:
    """A level across the chart, such as a bound or what the teacher reaches."""

    label: str
    value: float


@dataclass(frozen=True)
class Chart:
    """Curves that share both axes.

    Args:
        title, unit: above the drawing. steps: ascending. series: each as long as ``steps``.
        form: how values are written. with_zero: the axis reaches zero. stacked: areas on top of each other.
        rules: levels across it. note: a sentence below the drawing.
        shares: dashed curves against an axis of their own at the right, from 0 to 100 %. across: what is counted there.
    """

    title: str
    unit: str
    steps: tuple[float, ...]
    series: tuple[Series, ...]
    form: Form = "number"
    with_zero: bool = True
    stacked: bool = False
    rules: tuple[Rule, ...] = ()
    note: str = ""
    shares: tuple[Series, ...] = ()
    across: str = "step"

    def written(self, value: float | None) -> str:
        """A value as the legend shows it."""
        if self.form == "share":
            return percent(value)
        return duration(value) if self.form == "seconds" and value and value >= 100 else number(value)


def thinned(chart: Chart, *, limit: int) -> Chart:
    """At most about ``limit`` steps; every curve keeps its highest and lowest value of each stretch, areas their first.

    >>> steps = tuple(map(float, range(1000)))
    >>> peak = Series("peak", tuple(9.0 if step == 501 else 0.0 for step in steps))
    >>> less = thinned(Chart("", "", steps, (peak,)), limit=100)
    >>> len(less.steps) <= 100, max(less.series[0].values)
    (True, 9.0)
    """
    if len(chart.steps) <= limit:
        return chart
    each = 1 if chart.stacked else 2 * len(chart.series) + 1
    stretch = -(-len(chart.steps) * each // (limit - 1))
    kept = {len(chart.steps) - 1}
    for start in range(0, len(chart.steps), stretch):
        places = range(start, min(start + stretch, len(chart.steps)))
        kept.add(start)
        if not chart.stacked:
            kept.update(place for series in chart.series for place in _extremes(series.values, places))
    order = sorted(kept)
    return replace(
        chart,
        steps=tuple(chart.steps[place] for place in order),
        series=tuple(_cut(series, order) for series in chart.series),
        shares=tuple(_cut(series, order) for series in chart.shares),
        note=" ".join(filter(None, (chart.note, f"{len(order):,} of {len(chart.steps):,} steps are drawn."))),
    )


def _extremes(values: Column, places: range) -> list[int]:
    present = [place for place in places if values[place] is not None]
    if not present:
        return []
    return [min(present, key=lambda place: values[place] or 0.0), max(present, key=lambda place: values[place] or 0.0)]


def _cut(series: Series, order: Sequence[int]) -> Series:
    lows, highs, behind = (
        tuple(column[place] for place in order) if column else ()
        for column in (series.lows, series.highs, series.behind)
    )
    return replace(series, values=tuple(series.values[place] for place in order), lows=lows, highs=highs, behind=behind)
