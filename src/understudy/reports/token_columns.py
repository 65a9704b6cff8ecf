"""By what tokens are coloured: the columns of a page, their units, and the range of their colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from understudy.reports.figures import tick
from understudy.reports.saved_rollouts import Figures, SavedRollout, SavedTurn
from understudy.rollouts import Origin

LEVELS = 8
"""Shades on each side of zero."""


@dataclass(frozen=True)
class ColourColumn:
    """One way to colour tokens.

    Args:
        key: of the column. label, unit, meaning: for the reader. limit: the value, either side, of the full colour.
        diverging: whether values lie on both sides of zero.
    """

    key: str
    label: str
    unit: str
    meaning: str
    limit: float
    diverging: bool = True

    def shade(self, value: float) -> str:
        """The class of a value's colour: ``p1`` to ``p8`` above zero, ``n1`` to ``n8`` below, nothing near it.

        Shades go by the root: a few tokens are far off, and most differences that matter are a tenth of theirs.

        >>> column = ColourColumn("advantage", "Advantage", "nats", "", limit=4.0)
        >>> column.shade(-4.0), column.shade(1.0), column.shade(0.01), column.shade(float("nan"))
        ('n8', 'p4', '', '')
        """
        if not math.isfinite(value):
            return ""
        level = min(LEVELS, math.floor(math.sqrt(abs(value) / self.limit) * LEVELS + 0.5))
        return f"{'n' if value < 0 else 'p'}{level}" if level else ""

    @property
    def ends(self) -> tuple[str, ...]:
        """What stands below the shades at none, one, two, three and four quarters of their width."""
        half, whole = tick(self.limit / 4), tick(self.limit)
        return (f"−{whole}", f"−{half}", "0", half, whole) if self.diverging else ("0", "", half, "", whole)


_MEANINGS = {
    "advantage": ("Advantage", "nats", "how far the update pushes a token's probability up or down"),
    "log_ratio": ("Log ratio", "nats", "teacher's log-prob minus the student's: above zero the teacher likes it more"),
    "weight": ("Weight", "", "a token's share in the loss, its gate and its denominator included"),
    "gate": ("Gate", "", "1 where the term takes the token, 0 where its gate keeps it out"),
    "turn_weight": ("Turn weight", "", "how much the token's turn counts"),
    "surprisal": ("Student surprisal", "nats", "minus the student's log-prob: how unlikely its own choice was"),
    "student_entropy": ("Student entropy", "nats", "how undecided the student was at this place"),
    "teacher_entropy": ("Teacher entropy", "nats", "how undecided the teacher was at this place"),
    "teacher_surprisal": ("Teacher surprisal", "nats", "minus the teacher's log-prob: how unlikely it finds the token"),
}
_ONE_SIDED = ("weight", "gate", "turn_weight", "surprisal", "student_entropy", "teacher_entropy", "teacher_surprisal")


def values_of(turn: SavedTurn) -> dict[str, Figures]:
    """A turn's figures by column: those that can colour, then the log-probs; term columns as ``<term>/advantage``."""
    figures = turn.figures
    student = figures.get("student_logprob", _own(turn, "behaviour_logprob"))
    teacher = figures.get("teacher_logprob")
    values = {name: column for name, column in figures.items() if name.endswith("/advantage")}
    if student is not None and teacher is not None:
        values["log_ratio"] = teacher - student
    weights = {name: column for name, column in figures.items() if name.endswith("/weight")}
    values |= weights
    if any((column == 0).any() for column in weights.values()):  # else no gate keeps any token out
        values |= {_gate(name): np.where(np.isfinite(column), column != 0, np.nan) for name, column in weights.items()}
    values |= {name: column for name, column in figures.items() if name.endswith("/turn_weight")}
    if student is not None:
        values["surprisal"] = -student
    if teacher is not None:
        values["teacher_surprisal"] = -teacher
    entropies = ("student_entropy", "teacher_entropy")
    values |= {name: figures[name] for name in entropies if name in figures}
    logprobs = ("student_logprob", "teacher_logprob", "behaviour_logprob", "reference_logprob")
    return values | {name: figures[name] for name in logprobs if name in figures}


def columns_of(rollouts: Sequence[SavedRollout]) -> tuple[ColourColumn, ...]:
    """The columns that have any figure, advantage first; a range holds 99 of 100 tokens and is the same for all."""
    found: dict[str, list[Figures]] = {}
    for rollout in rollouts:
        for turn in rollout.turns:
            for key, values in values_of(turn).items():
                found.setdefault(key, []).append(values[np.isfinite(values)])
    terms = {key.split("/")[0] for key in found if "/" in key}
    # Kinds in the order of the table above; the terms of one kind as the run has them.
    ranked = sorted((key for key in found if _kind(key) in _MEANINGS), key=lambda key: [*_MEANINGS].index(_kind(key)))
    known = [(key, np.concatenate(found[key])) for key in ranked]
    return tuple(_column(key, values, several=len(terms) > 1) for key, values in known if values.size)


def _column(key: str, values: Figures, *, several: bool) -> ColourColumn:
    label, unit, meaning = _MEANINGS[_kind(key)]
    if "/" in key and several:
        label = f"{label}: {key.rsplit('/', 1)[0]}"
    diverging = _kind(key) not in _ONE_SIDED or bool((values < 0).any())
    return ColourColumn(key, label, unit, meaning, round_limit(float(np.quantile(np.abs(values), 0.99))), diverging)


def round_limit(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten.

    >>> round_limit(3.7), round_limit(0.2), round_limit(0.0)
    (5.0, 0.2, 1.0)
    """
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{factor * power:.1g}") for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))


def _gate(weight: str) -> str:
    return f"{weight.rsplit('/', 1)[0]}/gate"


def _kind(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def _own(turn: SavedTurn, name: str) -> Figures | None:
    column = turn.figures.get(name)
    return None if column is None else np.where(np.asarray(turn.origin) == Origin.STUDENT, column, np.nan)
