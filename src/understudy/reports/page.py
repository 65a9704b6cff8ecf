"""A run as one self-contained HTML file: nothing from the network, every text escaped, the same bytes each time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from understudy.reports.case_studies import RULE, cases_of
from understudy.reports.charts import Chart
from understudy.reports.curves import charts_of, not_recorded
from understudy.reports.facts import facts_of, figure_rows, standing_in_words
from understudy.reports.figures import percent, tick
from understudy.reports.judgement import judgements_of
from understudy.reports.microscope import Microscope, microscope
from understudy.reports.outcome import suites_of
from understudy.reports.plots import draw
from understudy.reports.reading import RunRecord, read_run
from understudy.reports.saved_rollouts import read_ends, read_steps
from understudy.reports.templating import asset, environment, script_hash, writable, write_page
from understudy.reports.token_columns import LEVELS
from understudy.reports.token_text import Decode, decoder_of
from understudy.reports.turn_figures import is_of_agents, turn_charts
from understudy.reports.visible_text import marked

REPORT = "report.html"
"""Name of the page in a run's folder."""

_PACKAGE = "understudy.reports"


def write_report(run: Path, *, out: Path | None = None, decode: Decode | None = None) -> Path:
    """Write the page of a run and return its path.

    Args:
        run: the run's folder. out: the file; None writes ``report.html`` into the folder.
        decode: ids to text with special tokens; None takes the tokenizer in the run's folder.
    Raises:
        RunDirectoryError: ``run`` is no run. UnderstudyError: the file cannot be written.
    """
    page = render(read_run(run), decode=decode)
    return write_page(page, run / REPORT if out is None else out, remedy="Choose another file with --out.")


def page_script() -> str:
    """The script of a run's page, the only one that its policy lets run."""
    return asset(_PACKAGE, "theme.js") + asset(_PACKAGE, "report.js")


def render(
    run: RunRecord, *, decode: Decode | None = None, links: Sequence[tuple[str, str]] = (), is_going: bool = False
) -> str:
    """The page of a run.

    Args:
        decode: as in ``write_report``. links: addresses and names of pages around it. is_going: a process is at it.
    """
    steps, notes = read_steps(run.path)
    charts, ends = charts_of(run), read_ends(run.path)
    script = page_script()
    page = (
        templates()
        .get_template("report.html.jinja")
        .render(
            run=run,
            links=links,
            standing="This run is going on." if is_going else standing_in_words(run),
            notes=(*run.notes, *notes),
            facts=facts_of(run),
            suites=suites_of(run),
            charts=[(chart, draw(chart)) for chart in charts],
            not_recorded=not_recorded(charts) if run.metrics else (),
            scope=(scope := microscope(steps, decode or decoder_of(run.path))),
            columns=_columns(scope),
            turn_charts=[(chart, draw(chart)) for chart in turn_charts(ends)],
            judgements=judgements_of(run) if is_of_agents(ends) else (),
            cases=cases_of(ends),
            case_rule=RULE,
            figures=figure_rows(run),
            surroundings=json.dumps(run.environment, indent=2, ensure_ascii=False),
            style=Markup(asset(_PACKAGE, "report.css")),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )
    return writable(page)


def _columns(scope: Microscope) -> dict[str, object]:
    """What the page's script needs to colour tokens as ``ColourColumn.shade`` does."""
    return {"levels": LEVELS, "columns": [asdict(column) for column in scope.columns], "words": scope.words}


@cache
def templates() -> Environment:
    """The templates of run and study."""
    found = environment(_PACKAGE)
    found.filters |= {"marked": marked, "tick": tick, "last_value": _last_value, "share": _share}
    return found


def _last_value(chart: Chart) -> list[str]:
    return [chart.written(series.last) for series in chart.series]


def _share(value: float | None) -> str:
    return percent(value, digits=0)
