"""What a model lost, in words: a table of suites and the conclusion."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.comparing.regression import Change, Regression
from understudy.evaluation.statistics import Estimate, p_text

UNPAIRED = "Published figures are other samples, often of another prompt: their difference is unpaired and less sure."


def regression_text(found: Regression) -> str:
    """The table, what was not measured, and what may be said."""
    heading = ["suite", "problems", found.base, found.distilled, "gain", "how", "p (Holm)"]
    asked = found.terms.margin is not None
    rows = [[*heading, *([f"no loss > {found.terms.margin:g}"] if asked else [])]]
    rows += [change_row(change) for change in found.changes]
    return "\n\n".join([columns(rows), "\n".join([*remarks(found), found.statement])])


def change_row(change: Change) -> list[str]:
    """One suite's cells; the last is there where a margin was given."""
    test = change.equivalence
    verdict = [] if test is None else [f"{'yes' if test.no_loss else 'not shown'} ({p_text(test.p_loss)})"]
    sizes = dict.fromkeys([f"{change.base.n:,}", f"{change.distilled.n:,}"])
    return [
        change.suite,
        " / ".join(sizes),
        interval(change.base),
        interval(change.distilled),
        f"{change.gain.mean:+.3f} [{_signed(change.gain.low)}, {_signed(change.gain.high)}]",
        "paired" if change.paired else "unpaired",
        p_text(change.holm_p_value).removeprefix("p = ").removeprefix("p "),
        *verdict,
    ]


def remarks(found: Regression) -> list[str]:
    """What must be known to read the table: sentences."""
    lines = [f"{change.suite}: {change.note}." for change in found.changes if change.note]
    if any(not change.paired for change in found.changes):
        lines.append(UNPAIRED)
    if found.absent:
        lines.append(f"Not measured of the regression suite: {', '.join(found.absent)}.")
    for side, names in ((found.base, found.only_base), (found.distilled, found.only_distilled)):
        if names:
            lines.append(f"Not compared, because only {side} has them: {', '.join(names)}.")
    return lines


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Cells set under each other, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def interval(estimate: Estimate) -> str:
    """A mean with its interval.

    >>> interval(Estimate(0.5, 0.25, 0.75, 9))
    '0.500 [0.250, 0.750]'
    """
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _signed(value: float) -> str:
    return f"{value:+.3f}"
