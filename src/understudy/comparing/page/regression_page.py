"""The page of what a model lost: one figure with every interval, the table, and the conclusion."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from understudy.comparing.regression import Change, Regression
from understudy.comparing.regression_words import change_row, remarks
from understudy.reports.charts import Rule
from understudy.reports.figures import NO_BREAK, percent
from understudy.reports.forest import Forest, ForestRow, Point, draw_forest
from understudy.reports.templating import asset, environment, script_hash, writable, write_page

_PACKAGE, _REPORTS = "understudy.comparing.page", "understudy.reports"
_BASE, _DISTILLED = 1, 0  # colours


def write_regression_page(found: Regression, out: Path) -> Path:
    """Write the page and return its path.

    Raises:
        UnderstudyError: the file cannot be written.
    """
    return write_page(render_regression(found), out, remedy="Choose another file with --page.")


def render_regression(found: Regression) -> str:
    """The page as text."""
    script = asset(_REPORTS, "theme.js")
    return writable(
        _templates()
        .get_template("regression.html.jinja")
        .render(
            found=found,
            figure=regression_figure(found),
            rows=[change_row(change) for change in found.changes],
            remarks=remarks(found),
            style=Markup(asset(_REPORTS, "report.css") + asset(_PACKAGE, "regression.css")),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )


def regression_figure(found: Regression) -> Markup:
    """Both models' scores and the gains, as two plots on a row for each suite; for a ``<figure>`` of a page."""
    share = all(_is_share(change) for change in found.changes)
    scores = Forest(
        f"Scores of {found.base} and {found.distilled} with intervals",
        tuple(_scores(change, share=share) for change in found.changes),
        share=share,
    )
    margin = found.terms.margin
    rules = [Rule("no change", 0.0), *([] if margin is None else [Rule(f"a loss of {margin:g}", -margin)])]
    gains = Forest(
        f"Gain of {found.distilled} over {found.base} with intervals",
        tuple(_gain(change, share=share) for change in found.changes),
        rules=tuple(rules),
        share=share,
    )
    return draw_forest(scores) + draw_forest(gains)


def _scores(change: Change, *, share: bool) -> ForestRow:
    points = (
        Point(change.base.mean, change.base.low, change.base.high, _BASE),
        Point(change.distilled.mean, change.distilled.low, change.distilled.high, _DISTILLED),
    )
    means = (_written(change.base.mean, share=share), _written(change.distilled.mean, share=share))
    return ForestRow(change.suite, " → ".join(means), points)


def _gain(change: Change, *, share: bool) -> ForestRow:
    gain = change.gain
    how = "" if change.paired else ", unpaired"
    point = Point(gain.mean, gain.low, gain.high, _DISTILLED)
    return ForestRow(change.suite, _points(gain.mean, share=share) + how, (point,))


def _written(value: float, *, share: bool) -> str:
    return percent(value) if share else f"{value:.3g}"


def _points(value: float, *, share: bool) -> str:
    """A difference of two shares is in percentage points, not per cent."""
    return f"{percent(value, sign=True).split(NO_BREAK)[0]}{NO_BREAK}points" if share else f"{value:+.3g}"


def _is_share(change: Change) -> bool:
    values = (change.base.mean, change.base.low, change.base.high, change.distilled.mean)
    return all(math.isfinite(value) and 0 <= value <= 1 for value in values)


@cache
def _templates() -> Environment:
    return environment(_PACKAGE, _REPORTS)
