"""Charts as SVG: pure functions from figures to markup, sized by the page's style sheet, coloured by its classes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from understudy.reports.charts import Chart, Column, Rule, Series, thinned
from understudy.reports.figures import percent, tick
from understudy.reports.scales import Axis, bounds, round_bounds, ticks
from understudy.reports.visible_text import visible

WIDTH, HEIGHT = 380, 200
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 10, 28
"""Room around the curves; at the left more, where figures along the axis are long."""
SHARES_ROOM = 46
"""At the right, for the axis of the shares."""
SHARES = Axis(0.0, 1.0, start=HEIGHT - BOTTOM, end=TOP)
"""The axis at the right of charts with shares."""
MAX_STEPS = 800
"""More points than pixels tell nothing more."""

_LETTER = 7
"""Width of a letter, about."""
_DIGIT = 7.4
"""Width of a digit at most; so wide are the figures along the axis taken to be."""
_FEW = 24
"""Up to so many steps, each has a mark of its own."""


@dataclass(frozen=True)
class Drawing:
    """A chart with its axes."""

    chart: Chart
    across: Axis
    up: Axis


def draw(chart: Chart) -> Markup:
    """The chart as one ``<svg>``; the figures under the pointer are read from its ``data-chart``."""
    drawing = _drawing(chart)
    return Markup(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" tabindex="0" aria-label="{}" data-chart="{}">{}'
        '<g class="cursor" hidden="hidden"><line y1="{}" y2="{}"/></g></svg>'
    ).format(WIDTH, HEIGHT, _description(drawing.chart), _data(drawing), _shapes(drawing), TOP, HEIGHT - BOTTOM)


def drawn(chart: Chart) -> Markup:
    """The chart's shapes alone, ``WIDTH`` by ``HEIGHT``, for a picture that has its own ``<svg>`` and styles."""
    return _shapes(_drawing(chart))


def _drawing(chart: Chart) -> Drawing:
    chart = thinned(chart, limit=MAX_STEPS)
    up = _up(chart)
    widest = max(len(_level(value, up, chart)) for value in ticks(up.low, up.high))
    return Drawing(chart, _across(chart, left=max(LEFT, round(widest * _DIGIT) + 6)), up)


def _shapes(drawing: Drawing) -> Markup:
    chart = drawing.chart
    curves = _areas(drawing) if chart.stacked else _curves(drawing)
    rules = [_rule(rule, drawing) for rule in chart.rules]
    return Markup("").join([_grid(drawing), *_share_axis(chart), *_shares(drawing), *curves, *rules])


def _across(chart: Chart, *, left: int) -> Axis:
    low, high = bounds(chart.steps, with_zero=False)
    if len(chart.steps) == 1:
        low, high = chart.steps[0] - 0.5, chart.steps[0] + 0.5
    return Axis(low, high, start=left, end=_right_edge(chart))


def _right_edge(chart: Chart) -> int:
    return WIDTH - (SHARES_ROOM if chart.shares else RIGHT)


def _up(chart: Chart) -> Axis:
    if chart.stacked:
        values = _totals(chart.series)
    else:
        columns = [
            column for series in chart.series for column in (series.values, series.lows, series.highs, series.behind)
        ]
        values = [value for column in columns for value in column if value is not None]
        values += [rule.value for rule in chart.rules]
    low, high = round_bounds(*bounds(values, with_zero=chart.with_zero))
    return Axis(low, min(high, 1.0) if chart.form == "share" and low >= 0 else high, start=HEIGHT - BOTTOM, end=TOP)


def _grid(drawing: Drawing) -> Markup:
    up, across = drawing.up, drawing.across
    levels = [
        Markup('<line class="{}" x1="{}" x2="{}" y1="{y}" y2="{y}"/><text class="up" x="{}" y="{y}">{}</text>').format(
            "base" if value == 0 else "grid",
            across.start,
            across.end,
            across.start - 6,
            _level(value, up, drawing.chart),
            y=_fixed(up.place(value)),
        )
        for value in ticks(up.low, up.high)
    ]
    steps = [
        Markup('<text class="across" x="{}" y="{}">{}</text>').format(
            _fixed(min(across.place(value), WIDTH - len(tick(value)) * _DIGIT / 2)), HEIGHT - 8, tick(value)
        )
        for value in ticks(across.low, across.high, target=6, whole=True)
    ]
    return Markup("").join(levels + steps)


def _level(value: float, up: Axis, chart: Chart) -> str:
    """A figure along the vertical axis."""
    return percent(value, digits=0 if up.high - up.low > 0.05 else 1) if chart.form == "share" else tick(value)


def _curves(drawing: Drawing) -> Iterable[Markup]:
    chart = drawing.chart
    for series in reversed(chart.series):  # the first is the one to see
        yield from _intervals(series, drawing)
        for stretch in _stretches(chart.steps, series.behind or (None,) * len(chart.steps)):
            path = " ".join(f"{_fixed(drawing.across.place(x))},{_fixed(drawing.up.place(y))}" for x, y in stretch)
            yield Markup('<polyline class="line behind s{}" points="{}"/>').format(series.slot, path)
        for stretch in _stretches(chart.steps, series.values):
            places = [(_fixed(drawing.across.place(x)), _fixed(drawing.up.place(y))) for x, y in stretch]
            if len(places) > 1:
                path = " ".join(f"{x},{y}" for x, y in places)
                yield Markup('<polyline class="line s{}" points="{}"/>').format(series.slot, path)
            if len(chart.steps) <= _FEW or len(places) == 1:
                radius = 3.5 if len(chart.steps) == 1 else 2.2  # nothing else says where to look
                for x, y in places:
                    yield Markup('<circle class="mark s{}" cx="{}" cy="{}" r="{}"/>').format(series.slot, x, y, radius)


def _share_axis(chart: Chart) -> list[Markup]:
    return [
        Markup('<text class="right" x="{}" y="{}">{}</text>').format(
            WIDTH - SHARES_ROOM + 6, _fixed(SHARES.place(share)), percent(share, digits=0)
        )
        for share in ((0.0, 0.5, 1.0) if chart.shares else ())
    ]


def _shares(drawing: Drawing) -> list[Markup]:
    """Dashed, and behind the curves."""
    drawn = []
    for series in drawing.chart.shares:
        for stretch in _stretches(drawing.chart.steps, series.values):
            path = " ".join(f"{_fixed(drawing.across.place(x))},{_fixed(SHARES.place(y))}" for x, y in stretch)
            drawn.append(Markup('<polyline class="line share s{}" points="{}"/>').format(series.slot, path))
    return drawn


def _intervals(series: Series, drawing: Drawing) -> Iterable[Markup]:
    for step, low, high in zip(drawing.chart.steps, series.lows, series.highs, strict=False):
        if low is not None and high is not None:
            yield Markup('<line class="interval s{}" x1="{x}" x2="{x}" y1="{}" y2="{}"/>').format(
                series.slot,
                _fixed(drawing.up.place(low)),
                _fixed(drawing.up.place(high)),
                x=_fixed(drawing.across.place(step)),
            )


def _areas(drawing: Drawing) -> Iterable[Markup]:
    """One area a series on top of those before; what is missing counts as nothing."""
    chart = drawing.chart
    # One step has no width; drawn as a block it can be seen.
    steps = (drawing.across.low, drawing.across.high) if len(chart.steps) == 1 else chart.steps
    below = [0.0] * len(steps)
    for series in chart.series:
        values = series.values * 2 if len(chart.steps) == 1 else series.values
        above = [floor + (value or 0.0) for floor, value in zip(below, values, strict=True)]
        edge = [*zip(steps, above, strict=True), *reversed(list(zip(steps, below, strict=True)))]
        path = " ".join(f"{_fixed(drawing.across.place(x))},{_fixed(drawing.up.place(y))}" for x, y in edge)
        yield Markup('<polygon class="area s{}" points="{}"/>').format(series.slot, path)
        below = above


def _rule(rule: Rule, drawing: Drawing) -> Markup:
    y, start, edge = drawing.up.place(rule.value), drawing.across.start, drawing.across.end
    above = y - 4 > TOP + 8
    left = _is_freer_at_the_left(rule, y - 8 if above else y + 8, drawing)
    return Markup(
        '<line class="rule" x1="{}" x2="{}" y1="{y}" y2="{y}"/><text class="rule{}" x="{}" y="{}">{}</text>'
    ).format(
        start,
        edge,
        " left" if left else "",
        start + 4 if left else edge,
        _fixed(y - 4 if above else y + 12),
        visible(rule.label),
        y=_fixed(y),
    )


def _is_freer_at_the_left(rule: Rule, height: float, drawing: Drawing) -> bool:
    """Whether the curves leave more room for the rule's words at this height there than at the right."""
    width = _LETTER * len(rule.label)
    places = [
        (drawing.across.place(step), abs(drawing.up.place(value) - height))
        for one in drawing.chart.series
        for step, value in zip(drawing.chart.steps, one.values, strict=True)
        if value is not None
    ]
    left = [distance for x, distance in places if x <= drawing.across.start + width]
    right = [distance for x, distance in places if x >= drawing.across.end - width]
    return min(left, default=HEIGHT) > min(right, default=HEIGHT)


def _stretches(steps: Sequence[float], values: Column) -> list[list[tuple[float, float]]]:
    """The points cut wherever a value is missing: a curve never bridges what was not measured."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for step, value in zip(steps, values, strict=True):
        if value is None:
            stretches.append([])
        else:
            stretches[-1].append((step, value))
    return [stretch for stretch in stretches if stretch]


def _totals(series: Sequence[Series]) -> list[float]:
    return [sum(value or 0.0 for value in values) for values in zip(*(one.values for one in series), strict=True)]


def _data(drawing: Drawing) -> str:
    """What the page's script needs to find the step under the pointer and to write its figures; shares come last."""
    chart, up, across = drawing.chart, drawing.up, drawing.across
    curves = [*chart.series, *chart.shares]
    written = [[chart.written(value) for value in one.values] for one in chart.series]
    return json.dumps(
        {
            "steps": chart.steps,
            "x": [across.low, across.high, across.start, across.end],
            "y": [up.low, up.high, up.start, up.end],
            "stacked": chart.stacked,
            "shares": [len(chart.series), SHARES.low, SHARES.high, SHARES.start, SHARES.end],
            "values": [[None if v is None else float(f"{v:.5g}") for v in one.values] for one in curves],
            "written": [*written, *([percent(value, digits=0) for value in one.values] for one in chart.shares)],
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _description(chart: Chart) -> str:
    """The chart for those who cannot see it."""
    ends = [
        f"{visible(one.label)} from {chart.written(next((v for v in one.values if v is not None), None))}"
        f" to {chart.written(one.last)}"
        for one in chart.series
    ]
    across = chart.across if chart.across.endswith("s") else f"{chart.across}s"
    return f"{chart.title}, {across} {tick(chart.steps[0])} to {tick(chart.steps[-1])}: {'; '.join(ends)}"


def _fixed(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
