"""A comparison in words, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from understudy.comparing.contest import Contest, Terms
from understudy.comparing.report import Comparison
from understudy.evaluation.differences import FEW
from understudy.evaluation.statistics import Paired, p_text

Lines = list[tuple[str, str]]
NUM_NAMED = 8
"""So many problems are named; the rest are counted."""


def counts_text(figures: Paired) -> str:
    """What wins, ties and losses alone say.

    >>> from understudy.evaluation.statistics import paired
    >>> print(counts_text(paired(123, 20, 77)))
    wins / ties / losses   123 / 20 / 77
    win rate               55.9 %
    net margin             +20.9 % [8.6, 33.2]
    sign test              p = 0.0014 (exact, two-sided)
    """
    return aligned(_counted(figures))


def comparison_text(comparison: Comparison) -> str:
    """Every figure of a comparison, suite by suite, and what was left out."""
    sides: Lines = [("A", comparison.a.label), ("B", comparison.b.label)]
    blocks = [aligned([*sides, *_same(comparison)])]
    blocks += [aligned(contest_lines(each, comparison.terms)) for each in comparison.contests]
    blocks += list(filter(None, (_together(comparison), _alone(comparison))))
    return "\n\n".join(blocks)


def aligned(lines: Lines) -> str:
    """Two columns."""
    width = max(len(name) for name, _ in lines) + 3
    return "\n".join(f"{name:{width}}{text}" for name, text in lines)


def contest_lines(each: Contest, terms: Terms) -> Lines:
    """The figures of one suite, name by name."""
    pairs, difference = each.pairs, each.difference
    lines: Lines = [
        ("suite", f"{each.suite}, {_count(len(pairs.problems), 'problem')}, {pairs.better} is better"),
        *_counted(each.paired, within=terms.epsilon),
    ]
    if each.holm_p_value is not None:
        lines.append(("  over all suites", f"{p_text(each.holm_p_value)} (Holm)"))
    if each.mcnemar is not None:
        cells = each.mcnemar
        found = f"both right {cells.both}, only A {cells.only_a}, only B {cells.only_b}, neither {cells.neither}"
        lines.append(("McNemar", f"{found}; {p_text(cells.p_value)} (exact)"))
    lines.append(("mean score", f"A {difference.mean_a:.4f}, B {difference.mean_b:.4f}"))
    bounds = f"[{_bound(difference.low)}, {_bound(difference.high)}]"
    lines.append(("difference A - B", f"{difference.mean:+.4f} {bounds} ({difference.interval})"))
    if each.equivalence is not None:
        lines.append(("equivalence", each.equivalence.statement))
    return lines + _gaps(each)


def _counted(figures: Paired, *, within: float = 0.0) -> Lines:
    tied = f" (a tie is within {within:g})" if within > 1e-6 else ""
    interval = f"[{100 * figures.margin_low:.1f}, {100 * figures.margin_high:.1f}]"
    return [
        ("wins / ties / losses", f"{figures.wins} / {figures.ties} / {figures.losses}{tied}"),
        ("win rate", f"{100 * figures.win_rate:.1f} %"),
        ("net margin", f"{100 * figures.margin:+.1f} % {interval}"),
        ("sign test", f"{p_text(figures.p_value)} (exact, two-sided)"),
    ]


def _gaps(each: Contest) -> Lines:
    pairs, lines = each.pairs, []
    rule = "count as 0 there" if pairs.rule == "zero" else "left out"
    for side, missing in (("A", pairs.missing_a), ("B", pairs.missing_b)):
        if missing:
            lines.append((f"missing in {side}", f"{len(missing)}, {rule}: {named(missing)}"))
    if pairs.ungraded:
        lines.append(("ungraded", f"{len(pairs.ungraded)}, left out: {named(pairs.ungraded)}"))
    if each.asked_differently:
        lines.append(("asked differently", "; ".join(each.asked_differently)))
    if len(pairs.problems) < FEW:
        lines.append(("caution", f"fewer than {FEW} problems: these intervals are rough"))
    return lines


def _same(comparison: Comparison) -> Lines:
    return (
        [("note", "A and B are the same results: all ties, and nothing is learned.")] if comparison.same_source else []
    )


def _together(comparison: Comparison) -> str:
    verdict = comparison.no_loss_anywhere
    if verdict is None or len(comparison.contests) < 2:
        return ""
    words = "support" if verdict else "do not support"
    return f'On all suites at once, the data {words} "no loss larger than {comparison.terms.margin:g}".'


def _alone(comparison: Comparison) -> str:
    parts = [
        f"Not compared, because only {side} has them: {', '.join(names)}."
        for side, names in (("A", comparison.only_a), ("B", comparison.only_b))
        if names
    ]
    return "\n".join(parts)


def named(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    >>> named(["a", "b"])
    'a, b'
    """
    more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
    return ", ".join(names[:NUM_NAMED]) + more


def _count(value: int, noun: str) -> str:
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def _bound(value: float) -> str:
    return f"{value:+.4f}" if math.isfinite(value) else "unbounded"
