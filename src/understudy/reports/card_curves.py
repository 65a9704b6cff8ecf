"""``curves.svg`` beside the weights: the few curves of a run that a model card shows, in one picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from markupsafe import Markup

from understudy.reports.charts import Chart
from understudy.reports.curves import PLANS, chart_of, evaluation_charts
from understudy.reports.plots import HEIGHT, WIDTH, drawn
from understudy.reports.reading import RunRecord
from understudy.reports.visible_text import visible

CURVES = "curves.svg"

_SUITES, _MOST, _COLUMNS = 2, 4, 2
"""Suites, charts, and charts in a row: more cannot be read in a card."""
_GAP, _HEAD, _LEGEND = 24, 44, 18
_COLOURS = ("#1f6fc2", "#d0611b", "#1c8a63", "#a3478f", "#8a7414", "#5b55b8", "#b23a48", "#6b7580")
_FIRST = ("Teacher reverse KL", "Reward", "Accuracy", "Entropy", "Loss", "Completion length")
"""What is shown besides suites, as long as there is room."""

# A picture cannot know whether the page around it is dark, so it brings its own paper.
_STYLE = """
text{font:12px system-ui,sans-serif;fill:#5a626b}.title{font-size:14px;font-weight:650;fill:#1d2126}
.up{text-anchor:end;dominant-baseline:central}.across{text-anchor:middle}text.rule{text-anchor:end}text.left{text-anchor:start}
line{stroke-width:1}.grid{stroke:#e4e4e0}.base{stroke:#9aa0a6}line.rule{stroke:#5a626b;stroke-dasharray:4 3}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.interval{stroke-width:1.6}
""" + "".join(
    f".line.s{n},.interval.s{n}{{stroke:{c}}}.mark.s{n},.key.s{n}{{fill:{c}}}" for n, c in enumerate(_COLOURS)
)


def curves_of(run: RunRecord, step: int) -> str:
    """An SVG document of at most four charts, of suites first; empty where the run has no curve yet.

    Args:
        step: of the weights; later figures are left out.
    """
    charts = _charts(_until(run, step))
    if not charts:
        return ""
    rows = -(-len(charts) // _COLUMNS)
    columns = min(len(charts), _COLUMNS)
    width = columns * (WIDTH + _GAP) + _GAP
    height = rows * (_HEAD + HEIGHT + _LEGEND + _GAP) + _GAP
    panels = Markup("\n").join(_panel(chart, place) for place, chart in enumerate(charts))
    return str(
        Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img">\n'
            '<title>{}</title><style>{}</style><rect width="{w}" height="{h}" fill="#ffffff"/>\n{}\n</svg>\n'
        ).format(visible(f"Curves of {run.name}"), Markup(_STYLE), panels, w=width, h=height)
    )


def _until(run: RunRecord, step: int) -> RunRecord:
    """The figures of steps that these weights have made; line ``n`` of the metrics is step ``n + 1``'s."""
    return replace(
        run,
        metrics=tuple(line for line in run.metrics if (line["step"] or 0) < step),
        evaluations=tuple(line for line in run.evaluations if (line["step"] or 0) <= step),
    )


def _charts(run: RunRecord) -> list[Chart]:
    suites = [chart for chart in evaluation_charts(run) if len(chart.steps) > 1][:_SUITES]
    plans = {plan.title: plan for plan in PLANS}
    others: Iterable[Chart | None] = (chart_of(plans[title], run.metrics) for title in _FIRST if run.metrics)
    shown = [chart for chart in others if chart is not None and len(chart.steps) > 1]
    return [*suites, *shown][:_MOST]


def _panel(chart: Chart, place: int) -> Markup:
    """A chart at its place in the grid, its names and last values below it."""
    across, down = place % _COLUMNS, place // _COLUMNS
    keys = Markup("").join(
        Markup('<tspan class="key s{}" dx="{}">{} {}</tspan>').format(
            series.slot, 14 if index else 0, visible(series.label), chart.written(series.last)
        )
        for index, series in enumerate(chart.series)
    )
    return Markup(
        '<g transform="translate({},{})"><text class="title" y="14">{}</text><text y="32">{}</text>'
        '<g transform="translate(0,{})">{}</g><text y="{}">{}</text></g>'
    ).format(
        _GAP + across * (WIDTH + _GAP),
        _GAP + down * (_HEAD + HEIGHT + _LEGEND + _GAP),
        visible(chart.title),
        visible(chart.unit),
        _HEAD,
        drawn(chart),
        _HEAD + HEIGHT + 12,
        keys,
    )
