"""An office study as one self-contained HTML file: curves, scores, what was lost elsewhere, and work side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from understudy.reports.charts import Chart
from understudy.reports.outcome import Suite
from understudy.reports.page import templates
from understudy.reports.plots import draw
from understudy.reports.templating import asset, script_hash, writable

_PACKAGE = "understudy.reports"


@dataclass(frozen=True)
class Cell:
    """One cell of a paper; highlighted where somebody marked it."""

    text: str
    marked: bool = False


@dataclass(frozen=True)
class Paper:
    """A file to look at: rows of cells; a text has one cell a line. ``note`` says what the name does not."""

    name: str
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Attempt:
    """One model's work on a task.

    Args:
        who: the model. score: as text. papers: what it handed in. rubric: each line and whether it was met.
        said: what it saw and what it did, turn by turn.
    """

    who: str
    score: str
    papers: tuple[Paper, ...]
    rubric: tuple[tuple[str, bool | None], ...]
    said: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SideBySide:
    """Two attempts at one task, and which is the better: ``win``, ``tie`` or ``loss`` of the second."""

    task: str
    prompt: str
    source: Paper
    attempts: tuple[Attempt, Attempt]
    verdict: str


@dataclass(frozen=True)
class StudyPage:
    """Everything that the page shows.

    Args:
        title, facts: at the top. charts: the curves of the training. suites: scores and rates, before and after.
        counts: what was counted in the deliverables, a row each, the heading first. findings: sentences below them.
        regression, statements: the same of what was not trained on. pairs: tasks to look at. chosen: how these were
            chosen. all_pairs: the file with the others, beside this one.
    """

    title: str
    facts: Mapping[str, str]
    charts: tuple[Chart, ...]
    suites: tuple[Suite, ...]
    counts: tuple[tuple[str, ...], ...]
    findings: tuple[str, ...]
    regression: tuple[Suite, ...]
    statements: tuple[str, ...]
    pairs: tuple[SideBySide, ...]
    chosen: str
    all_pairs: str


def render_study(page: StudyPage) -> str:
    """The HTML of a study; every text is escaped."""
    script = asset(_PACKAGE, "theme.js") + asset(_PACKAGE, "report.js")
    text = (
        templates()
        .get_template("study.html.jinja")
        .render(
            page=page,
            charts=[(chart, draw(chart)) for chart in page.charts],
            not_recorded=(),
            style=Markup(asset(_PACKAGE, "report.css") + asset(_PACKAGE, "study.css")),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )
    return writable(text)
