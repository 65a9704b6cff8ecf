"""The page of two models side by side: one self-contained file, every text escaped, nothing from the network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from understudy.comparing.contest import Contest
from understudy.comparing.page.leaf import Leaf
from understudy.comparing.page.leaves import leaves_of
from understudy.comparing.report import Comparison
from understudy.comparing.words import contest_lines
from understudy.reports.figures import count, number
from understudy.reports.templating import asset, environment, script_hash, writable, write_page

_PACKAGE, _REPORTS = "understudy.comparing.page", "understudy.reports"


@dataclass(frozen=True)
class Group:
    """One choice of the page's filter: which leaves, how it is called, how many."""

    verdict: str
    label: str
    amount: int


def write_comparison_page(comparison: Comparison, out: Path) -> Path:
    """Write the page and return its path.

    Raises:
        UnderstudyError: the file cannot be written.
    """
    return write_page(render(comparison), out, remedy="Choose another file with --page.")


def default_page(comparison: Comparison) -> Path | None:
    """Where the page goes unasked: for two office results, into the folder of the first, named after the second."""
    if comparison.a.office is None or comparison.b.office is None:
        return None
    other = re.sub(r"[^\w.-]+", "-", comparison.b.label)[:80] or "other"
    return comparison.a.office.folder / f"against-{other}.html"


def render(comparison: Comparison) -> str:
    """The page as text."""
    leaves = list(leaves_of(comparison))
    script = asset(_REPORTS, "theme.js") + asset(_PACKAGE, "side_by_side.js")
    style = asset(_REPORTS, "report.css") + asset(_PACKAGE, "side_by_side.css")
    page = (
        _templates()
        .get_template("side_by_side.html.jinja")
        .render(
            a=comparison.a.label,
            b=comparison.b.label,
            contests=[(each, contest_lines(each, comparison.terms)) for each in comparison.contests],
            leaves=leaves,
            groups=_groups(leaves),
            several=len(comparison.contests) > 1,
            same=comparison.same_source,
            style=Markup(style),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )
    return writable(page)


def _groups(leaves: list[Leaf]) -> list[Group]:
    labels = {"": "All", "win": "A wins", "tie": "Ties", "loss": "B wins", "none": "Not compared"}
    amounts = {verdict: sum(verdict in ("", leaf.verdict) for leaf in leaves) for verdict in labels}
    return [Group(verdict, label, amounts[verdict]) for verdict, label in labels.items() if amounts[verdict]]


@cache
def _templates() -> Environment:
    templates = environment(_PACKAGE, _REPORTS)
    templates.globals |= {"sentence": _sentence, "number": number}
    return templates


def _sentence(contest: Contest) -> str:
    figures = contest.paired
    total = count(figures.wins + figures.ties + figures.losses, "problem")
    return (
        f"Of {total}, A does better on {figures.wins:,}, the same on {figures.ties:,} and worse on {figures.losses:,}."
    )
