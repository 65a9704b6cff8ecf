"""A comparison as one self-contained HTML file: tables and curves, nothing from the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from understudy.bench.tables import Table
from understudy.reports.charts import Chart
from understudy.reports.figures import tick
from understudy.reports.plots import draw
from understudy.reports.visible_text import visible
from understudy.training.durable import write_text

_REPORTS = Path(__file__).parents[1] / "reports" / "templates"


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
    script = _asset("report.js")
    return (
        _templates()
        .get_template("bench.html.jinja")
        .render(
            page=page,
            charts=[(chart, draw(chart)) for chart in page.charts],
            not_recorded=(),
            style=Markup(_asset("report.css")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("understudy.bench"), PackageLoader("understudy.reports")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters |= {"tick": tick, "last_value": _last_value}
    return environment


def _last_value(chart: Chart) -> list[str]:
    return [chart.written(series.last) for series in chart.series]


@cache
def _asset(name: str) -> str:
    return (_REPORTS / name).read_text(encoding="utf-8")
