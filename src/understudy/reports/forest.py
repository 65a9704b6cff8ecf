"""Forest plots: one row a suite, a dot for each mean, a bar for its interval, all on one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from understudy.reports.charts import Rule
from understudy.reports.figures import percent, tick
from understudy.reports.scales import Axis, bounds, round_bounds, ticks
from understudy.reports.visible_text import visible

WIDTH = 380
LEFT, RIGHT, TOP, BOTTOM = 24, 24, 8, 26
_LABEL, _POINT = 22, 16  # heights: of a row's name, of each of its points


@dataclass(frozen=True)
class Point:
    """A mean with its interval; ``slot`` is the number of its colour."""

    mean: float
    low: float
    high: float
    slot: int = 0


@dataclass(frozen=True)
class ForestRow:
    """One row: its name, a few figures in words at the right, and its points."""

    label: str
    text: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Forest:
    """Rows on one scale.

    Args:
        title: what it shows, for those who hear it. rules: levels across it, such as no change or a margin.
        with_zero: the scale reaches zero. share: values are shares, written as percentages.
    """

    title: str
    rows: tuple[ForestRow, ...]
    rules: tuple[Rule, ...] = ()
    with_zero: bool = False
    share: bool = True


def draw_forest(forest: Forest) -> Markup:
    """The plot as one ``<svg>``, in the classes of the report's style sheet."""
    axis = _axis(forest)
    tops = _tops(forest.rows)
    height = tops[-1] + BOTTOM
    floor = tops[-1]
    rows = [_row(row, axis, top) for row, top in zip(forest.rows, tops, strict=False)]
    return Markup('<svg class="plot forest" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>').format(
        WIDTH,
        height,
        _description(forest),
        _grid(forest, axis, floor),
        Markup("").join(_rule(rule, axis, floor) for rule in forest.rules),
        Markup("").join(rows),
    )


def _axis(forest: Forest) -> Axis:
    values = [value for row in forest.rows for point in row.points for value in (point.low, point.mean, point.high)]
    values += [rule.value for rule in forest.rules]
    finite = [value for value in values if math.isfinite(value)]
    low, high = round_bounds(*bounds(finite, with_zero=forest.with_zero))
    return Axis(low, high, start=LEFT, end=WIDTH - RIGHT)


def _tops(rows: Sequence[ForestRow]) -> list[float]:
    tops = [float(TOP)]
    for row in rows:
        tops.append(tops[-1] + _LABEL + _POINT * len(row.points) + 4)
    return tops


def _grid(forest: Forest, axis: Axis, floor: float) -> Markup:
    return Markup("").join(
        Markup(
            '<line class="grid" x1="{x}" x2="{x}" y1="{}" y2="{}"/><text class="across" x="{x}" y="{}">{}</text>'
        ).format(TOP, floor, floor + 16, _written(value, axis, share=forest.share), x=_fixed(axis.place(value)))
        for value in ticks(axis.low, axis.high)
    )


def _written(value: float, axis: Axis, *, share: bool) -> str:
    return percent(value, digits=0 if axis.high - axis.low > 0.05 else 1) if share else tick(value)


def _rule(rule: Rule, axis: Axis, floor: float) -> Markup:
    return Markup('<line class="{}" x1="{x}" x2="{x}" y1="{}" y2="{}"><title>{}</title></line>').format(
        "base" if rule.value == 0 else "rule", TOP, floor, visible(rule.label), x=_fixed(axis.place(rule.value))
    )


def _row(row: ForestRow, axis: Axis, top: float) -> Markup:
    name = Markup('<text class="row" x="{}" y="{y}">{}</text><text class="told" x="{}" y="{y}">{}</text>').format(
        0, visible(row.label), WIDTH, row.text, y=_fixed(top + 14)
    )
    points = [_point(point, axis, top + _LABEL + _POINT * (place + 0.5)) for place, point in enumerate(row.points)]
    return name + Markup("").join(points)


def _point(point: Point, axis: Axis, y: float) -> Markup:
    """A bound that is infinite is drawn to the edge."""
    low, high = max(point.low, axis.low), min(point.high, axis.high)
    return Markup(
        '<line class="interval s{slot}" x1="{}" x2="{}" y1="{y}" y2="{y}"/>'
        '<circle class="mark s{slot}" cx="{}" cy="{y}" r="3.6"/>'
    ).format(
        _fixed(axis.place(low)), _fixed(axis.place(high)), _fixed(axis.place(point.mean)), slot=point.slot, y=_fixed(y)
    )


def _description(forest: Forest) -> str:
    rows = "; ".join(f"{visible(row.label)}: {row.text}" for row in forest.rows)
    return f"{forest.title}. {rows}"


def _fixed(value: float) -> str:
    return f"{value:.1f}"
