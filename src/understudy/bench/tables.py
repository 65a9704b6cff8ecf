"""The rows of a comparison as text: aligned for a terminal, or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.bench.rows import MODES, Cell, Row, Verdict
from understudy.bench.settings import Domain
from understudy.evaluation.statistics import Estimate

ABSENT = "-"
_SHORT = {"greedy": "greedy", "sampled": "T=1"}

Table = list[list[str]]


def accuracy_table(rows: Sequence[Row], domain: Domain) -> Table:
    """Accuracy on one domain in per cent, and what was gained over the start, each with its interval over seeds.

    What was only measured has no runs to vary: its interval is over problems.
    """
    heading = ["", "learning rate", *(f"{_SHORT[mode]}{what}" for mode in MODES for what in ("", ", gain"))]
    return [
        heading,
        *(
            [row.label, _rate(row.learning_rate), *(cell for mode in MODES for cell in _accuracy(row, domain, mode))]
            for row in rows
        ),
    ]


def measure_table(rows: Sequence[Row]) -> Table:
    """Everything else that was measured, means over seeds."""
    heading = ["", "reverse KL", "entropy", "gradient norm", "length", "seconds", "seeds", "note"]
    return [
        heading,
        *(
            [
                row.label,
                _number(row.reverse_kl),
                _number(row.entropy),
                _number(row.grad_norm),
                _number(row.length, digits=1),
                _number(row.seconds, digits=1),
                str(len(row.seeds)),
                _note(row),
            ]
            for row in rows
        ),
    ]


def verdict_table(verdicts: Sequence[Verdict], domains: Sequence[Domain]) -> Table:
    """Each student's margin over the expert of each domain, and whether it is above all of them."""
    columns = [(domain, mode) for domain in domains for mode in MODES]
    heading = ["minus the expert", *(f"{d.name} {_SHORT[m]}" for d, m in columns), "above both experts"]
    return [
        heading,
        *(
            [
                verdict.label,
                *(signed(verdict.margins[domain.name][mode]) for domain, mode in columns),
                ", ".join(f"{_SHORT[mode]}: {'yes' if verdict.above_all[mode] else 'no'}" for mode in MODES),
            ]
            for verdict in verdicts
        ),
    ]


def cost_table(rows: Sequence[Row]) -> Table:
    """What each contender took: seconds a step by phase, and the weights that had to be there beside the teacher."""
    timed = [row for row in rows if row.seconds_a_step]
    names = list(dict.fromkeys(name for row in timed for name in row.seconds_a_step or {}))
    names = [name for name in names if any((row.seconds_a_step or {}).get(name, 0) >= 0.0005 for row in timed)]
    heading = ["seconds a step", *(name.replace("_", " ") for name in names), "reference, parameters"]
    return [
        heading,
        *(
            [
                row.label,
                *(_number((row.seconds_a_step or {}).get(name)) for name in names),
                f"{(row.parameters or {}).get('reference', 0):,}",
            ]
            for row in timed
        ),
    ]


def aligned(table: Table) -> str:
    """Columns as wide as they need to be, the first to the left and the others to the right.

    >>> print(aligned([["", "x"], ["long", "1.25"]]))
             x
    long  1.25
    """
    widths = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def markdown(table: Table) -> str:
    """A table in Markdown.

    >>> print(markdown([["", "x"], ["a|b", "1"]]))
    |  | x |
    |---|---|
    | a\\|b | 1 |
    """
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
    return "\n".join([lines[0], "|" + "---|" * len(table[0]), *lines[1:]])


def share(estimate: Estimate) -> str:
    """A share in per cent with its interval.

    >>> share(Estimate(0.5, 0.469, 0.531, 3))
    '50.0 [46.9, 53.1]'
    >>> share(Estimate(0.5, float("-inf"), float("inf"), 1))
    '50.0'
    """
    if abs(estimate.low) == float("inf"):
        return f"{100 * estimate.mean:.1f}"
    return f"{100 * estimate.mean:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def signed(estimate: Estimate) -> str:
    """A difference of shares in points with its interval.

    >>> signed(Estimate(0.12, -0.01, 0.25, 3))
    '+12.0 [-1.0, +25.0]'
    """
    if abs(estimate.low) == float("inf"):
        return f"{100 * estimate.mean:+.1f}"
    return f"{100 * estimate.mean:+.1f} [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}]"


def _accuracy(row: Row, domain: Domain, mode: str) -> tuple[str, str]:
    cell: Cell | None = row.cells.get(domain.name, {}).get(mode)
    if cell is None:
        return ABSENT, ABSENT
    if row.learning_rate is None or cell.gain_over_seeds is None:
        return share(cell.over_problems), ABSENT
    return share(cell.over_seeds), signed(cell.gain_over_seeds)


def _note(row: Row) -> str:
    failed = f"diverged with seed {', '.join(map(str, row.diverged))}" if row.diverged else ""
    return "; ".join(filter(None, (failed, row.note)))


def _rate(value: float | None) -> str:
    return ABSENT if value is None else f"{value:g}"


def _number(value: float | None, *, digits: int = 3) -> str:
    return ABSENT if value is None else f"{value:.{digits}f}"
