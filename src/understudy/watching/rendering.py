"""The watcher's pages as text: table of runs, overlaid curves, a saved step under the microscope."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from understudy.reports.charts import Chart
from understudy.reports.curves import PLANS
from understudy.reports.curves import chart_of as planned_chart
from understudy.reports.facts import facts_of
from understudy.reports.microscope import microscope
from understudy.reports.page import templates as report_templates
from understudy.reports.plots import draw
from understudy.reports.reading import RunRecord
from understudy.reports.saved_rollouts import SavedRollout, SavedStep, WholeStep
from understudy.reports.secrets import without_secrets
from understudy.reports.templating import asset, environment, writable
from understudy.reports.token_columns import LEVELS
from understudy.reports.token_text import Decode
from understudy.reports.visible_text import visible
from understudy.watching.finding import FoundPage
from understudy.watching.overlay import MOST_RUNS, Runner, View, chart_of, names_of, usual_of
from understudy.watching.overview import SORTS, Choice, Row
from understudy.watching.states import STATES

PACKAGE, REPORTS = "understudy.watching", "understudy.reports"
PER_PAGE = 8
"""Rollouts of a step on one page of the microscope."""
_WORDS = {"kl": "reverse KL", "reward": "reward", "length": "length"}
ORDERS = tuple(_WORDS)
_MOST_CHARTS = 40
_STACKED = next(plan for plan in PLANS if plan.stacked)


@dataclass(frozen=True)
class Comparison:
    """What the page of curves was asked for: runs and figures by name, none for the usual ones, and how to draw."""

    keys: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    view: View = field(default_factory=View)


@dataclass(frozen=True)
class Section:
    """A page of the microscope: which saved step, in which order, which page of it."""

    step: int
    sort: str = "kl"
    page: int = 1


def index_page(rows: Sequence[Row], choice: Choice, *, total: int, pages: Sequence[FoundPage], part: bool) -> str:
    """The table of runs; with ``part`` only what changes while one looks."""
    return _live(
        "index",
        part=part,
        rows=rows,
        choice=choice,
        total=total,
        pages=pages,
        states=STATES,
        sorts=SORTS,
        most=MOST_RUNS,
    )


def compare_page(rows: Sequence[Row], runners: Sequence[Runner], asked: Comparison, *, part: bool) -> str:
    """Curves of the chosen runs in one drawing each, then the time of each run by phase."""
    names = names_of(runners)
    wanted = [name for name in asked.metrics if name in names] or usual_of(names)
    charts = [chart for name in wanted[:_MOST_CHARTS] if (chart := chart_of(name, runners, asked.view)) is not None]
    phases = [(one, chart) for one in runners if (chart := planned_chart(_STACKED, one.record.metrics)) is not None]
    return _live(
        "compare",
        part=part,
        rows=rows,
        runners=runners,
        chosen={runner.slot: row for runner, row in zip(runners, _rows_of(rows, asked.keys), strict=False)},
        asked=asked,
        families=_families(names),
        wanted=wanted,
        charts=[(chart, draw(chart)) for chart in charts],
        phases=[(one, chart, draw(chart)) for one, chart in phases],
        not_recorded=(),
        most=MOST_RUNS,
    )


def rollouts_page(
    record: RunRecord, step: WholeStep, asked: Section, *, key: str, steps: Sequence[int], decode: Decode | None
) -> str:
    """One saved step of a run, all its rollouts in pages, token by token."""
    ranked = sorted(step.rollouts, key=lambda one: _rank(one, asked.sort))
    last = max(1, -(-len(ranked) // PER_PAGE))
    page = min(max(1, asked.page), last)
    some = tuple(ranked[(page - 1) * PER_PAGE : page * PER_PAGE])
    scope = microscope([SavedStep(step.step, len(ranked), f"highest {_WORDS[asked.sort]} first", some)], decode)
    columns = {"levels": LEVELS, "columns": [asdict(column) for column in scope.columns], "words": scope.words}
    return _rendered(
        "watch_rollouts.html.jinja",
        record=record,
        facts=facts_of(record),
        scope=scope,
        columns=columns,
        key=key,
        step=step.step,
        before=max((one for one in steps if one < step.step), default=None),
        after=min((one for one in steps if one > step.step), default=None),
        steps=steps,
        sort=asked.sort,
        orders=ORDERS,
        page=page,
        last=last,
        total=len(ranked),
    )


def missing_page(why: str) -> str:
    """What is shown where there is nothing."""
    return _rendered("missing.html.jinja", why=why)


def stamp_of(text: str) -> str:
    """The ``ETag`` of a page.

    >>> stamp_of("a") == stamp_of("a") != stamp_of("b")
    True
    """
    return f'"{hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:20]}"'


def files() -> Mapping[str, tuple[str, str]]:
    """Style and scripts of the watcher's pages: name -> content and kind."""
    return {
        "watch.css": (asset(REPORTS, "report.css") + asset(PACKAGE, "watch.css"), "text/css"),
        "watch.js": (
            asset(REPORTS, "theme.js") + asset(REPORTS, "report.js") + asset(PACKAGE, "watch.js"),
            "text/javascript",
        ),
    }


def _live(page: str, *, part: bool, **values: object) -> str:
    """A page, or the part of it that changes; the whole names the stamp of its part, so that nothing is drawn twice."""
    changing = _rendered(f"{page}_part.html.jinja", **values)
    return changing if part else _rendered(f"{page}.html.jinja", stamp=stamp_of(changing), **values)


def _rendered(template: str, **values: object) -> str:
    return without_secrets(writable(_templates().get_template(template).render(**values)))


@cache
def _templates() -> Environment:
    found = environment(PACKAGE, REPORTS)
    shared = report_templates().filters
    found.filters |= {name: shared[name] for name in ("marked", "tick", "last_value", "share")}
    found.filters |= {"titled": _titled, "breakable": _breakable}
    return found


def _breakable(name: str) -> Markup:
    """A name of a path's form, which a narrow column may break where its parts meet."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_.])(?=[^/_.])", visible(name)))


def _titled(chart: Chart, title: str) -> Chart:
    return replace(chart, title=title)


def _rank(rollout: SavedRollout, order: str) -> tuple[float, int]:
    value = {"reward": rollout.reward, "length": float(rollout.num_tokens)}.get(order, rollout.kl)
    return (-value if value is not None else float("inf"), rollout.index)


def _families(names: Sequence[str]) -> dict[str, list[str]]:
    """Names by what comes before their first slash; those without one together."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.split("/")[0] if "/" in name else "step", []).append(name)
    return found


def _rows_of(rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    by_key = {row.key: row for row in rows}
    return [by_key[key] for key in keys if key in by_key]
