"""What a verifier says, and the gold answers it goes by."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import regex

from understudy.errors import DataError
from understudy.tasks.templates import MissingValueError, missing_column

Columns = Mapping[str, object]

_log = logging.getLogger(__name__)
_MOST_WARNINGS = 5


@dataclass(frozen=True)
class Verdict:
    """What a verifier says of one completion.

    Args:
        reward: 1 for a right answer, else 0; a function of the user's may give any finite number.
        correct: whether the answer is right; None where only a reward was given.
        parsed: the answer as read, in one spelling for equal answers; None when none could be read.
        shares: further counts by name: how many, of how many.
    """

    reward: float
    correct: bool | None
    parsed: str | None
    shares: Mapping[str, tuple[int, int]] = field(default_factory=dict)


Verifier = Callable[[str, Columns], Verdict]
"""(completion, the columns of its task) -> verdict. Raises DataError when the row's gold answer is unusable.

One that takes its time also has ``begin``, with the same arguments: it starts the work and gives a function that waits
for the verdict.
"""


class UnreadableGoldError(DataError):
    """A row's gold answer is there, and the verifier cannot read it."""


def verdict(parsed: str | None, *, correct: bool) -> Verdict:
    """Reward 1 or 0."""
    return Verdict(reward=float(correct), correct=correct, parsed=parsed)


def golds_of(columns: Columns, column: str) -> list[object]:
    """The accepted answers: the column's text or number, or its list of these.

    Raises:
        DataError: the column is not there, or holds something else.
    """
    if column not in columns:
        raise missing_column(column, columns)
    value = columns[column]
    golds = list(value) if isinstance(value, list | tuple) else [value]
    if not golds or not all(_is_gold(gold) for gold in golds):
        what, expected = f"column {column!r} is no gold answer", "text, a number, or a list of these"
        if _is_nothing(value):
            raise MissingValueError(what, column=column, got=repr(value)[:80], expected=expected)
        raise DataError(what, got=repr(value)[:80], expected=expected)
    return golds


def extracted(text: str, pattern: str | None, *, seconds: float) -> str | None:
    """Group 1 of the pattern's last match, or all of ``text`` without a pattern; None for no match.

    A pattern that runs for more than ``seconds`` has found nothing.
    """
    if pattern is None:
        return text
    found = None
    try:
        for found in regex.finditer(pattern, text, timeout=seconds):  # noqa: B007  (the last one is wanted)
            pass
    except TimeoutError:
        warn_of_overtime(text, seconds)
        return None
    return None if found is None else found.group(1)


_warned = 0


def warn_of_overtime(completion: str, seconds: float) -> None:
    """Say so, a few times a run: an answer that took too long is an answer unread."""
    global _warned
    _warned += 1
    if _warned <= _MOST_WARNINGS:
        last = " (no more of these will be shown)" if _warned == _MOST_WARNINGS else ""
        end = ascii(completion[-60:])
        _log.warning("a verifier gave up after %g s; the completion counts as unread: ...%s%s", seconds, end, last)


def _is_gold(value: object) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or value == []
