"""A comparison as one self-contained HTML file: tables and curves, nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from understudy.bench.tables import Table
from understudy.reports.charts import Chart
from understudy.reports.figures import percent, tick
from understudy.reports.plots import draw
from understudy.reports.templating import asset, environment, script_hash
from understudy.training.durable import write_text

_REPORTS = "understudy.reports"


@dataclass(frozen=True)
class Page:
    """What the page shows.

    Args:
        title: its heading. lead: a sentence below it. facts: short figures by name. tables: by caption.
        charts: below them. notes: sentences at its end.
    """

    title: str
    lead: str
    facts: Mapping[str, str]
    tables: Mapping[str, Table]
    charts: Sequence[Chart]
    notes: Sequence[str]


def write_page(page: Page, path: Path) -> None:
    """Write it whole or not at all."""
    write_text(path, render(page))


def render(page: Page) -> str:
    """The page's text."""
    script = asset(_REPORTS, "theme.js") + asset(_REPORTS, "report.js")
    return (
        _templates()
        .get_template("bench.html.jinja")
        .render(
            page=page,
            charts=[(chart, draw(chart)) for chart in page.charts],
            not_recorded=(),
            style=Markup(asset(_REPORTS, "report.css")),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )


@cache
def _templates() -> Environment:
    templates = environment("understudy.bench", _REPORTS)
    templates.filters |= {"tick": tick, "last_value": _last_value, "share": partial(percent, digits=0)}
    return templates


def _last_value(chart: Chart) -> list[str]:
    return [chart.written(series.last) for series in chart.series]
