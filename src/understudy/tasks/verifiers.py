"""Judges a completion by the row's gold answer: the same text, or the same number.

What could not be read from a completion is told apart from what was read and is wrong: ``parsed`` is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from understudy.errors import DataError, RecipeError
from understudy.recipe import Verifier as VerifierConfig
from understudy.tasks.numerals import last_number
from understudy.tasks.templates import missing_column


@dataclass(frozen=True)
class Verdict:
    """What a verifier says of one completion.

    Args:
        reward: 1 for a right answer, else 0. correct: whether the answer is right.
        parsed: the answer as read, in one spelling for equal answers; None when none could be read.
    """

    reward: float
    correct: bool
    parsed: str | None


Verifier = Callable[[str, Mapping[str, object]], Verdict]
"""(completion, the columns of its task) -> verdict. Raises DataError when the row's gold answer is unusable."""

Columns = Mapping[str, object]


def verifier_from(config: VerifierConfig, answer: str | None) -> Verifier | None:
    """The verifier that a recipe describes; None for kind ``none``: nothing is judged.

    Args:
        config: the recipe's section. answer: column of the gold answer (text, a number, or a list of accepted
            answers); None means ``answer``.
    Raises:
        RecipeError: an option that the kind does not have.
    """
    if config.kind == "none":
        if config.extract is not None:
            raise RecipeError("verifier.extract has no use with kind none", expected="kind exact or numeric")
        return None
    column = answer or "answer"
    return _numeric(config, column) if config.kind == "numeric" else _exact(config, column)


def _exact(config: VerifierConfig, column: str) -> Verifier:
    def read(text: str) -> str | None:
        found = _extracted(text, config.extract)
        if found is None:
            return None
        found = found.strip() if config.strip else found
        return found.casefold() if config.ignore_case else found

    def verify(completion: str, columns: Columns) -> Verdict:
        golds = [gold if (found := read(gold)) is None else found for gold in map(str, _golds(columns, column))]
        parsed = read(completion) or None
        return _verdict(parsed, correct=parsed is not None and parsed in golds)

    return verify


def _numeric(config: VerifierConfig, column: str) -> Verifier:
    tolerance = Fraction(str(config.tolerance))

    def read(text: str) -> Fraction | None:
        found = _extracted(text, config.extract)
        return None if found is None else last_number(found)

    def read_gold(gold: object) -> Fraction:
        number = read(str(gold))
        number = last_number(str(gold)) if number is None else number
        if number is None:
            raise DataError(f"column {column!r} holds no number", got=repr(gold)[:80], expected="a gold answer")
        return number

    def verify(completion: str, columns: Columns) -> Verdict:
        golds = [read_gold(gold) for gold in _golds(columns, column)]
        number = read(completion)
        correct = number is not None and any(abs(number - gold) <= tolerance for gold in golds)
        return _verdict(None if number is None else str(number), correct=correct)

    return verify


def _extracted(text: str, pattern: str | None) -> str | None:
    if pattern is None:
        return text
    found = None
    for found in re.finditer(pattern, text):  # noqa: B007  (the last one is wanted)
        pass
    return None if found is None else found.group(1)


def _golds(columns: Columns, column: str) -> list[object]:
    if column not in columns:
        raise missing_column(column, columns)
    value = columns[column]
    golds = list(value) if isinstance(value, list | tuple) else [value]
    if not golds or not all(_is_gold(gold) for gold in golds):
        raise DataError(
            f"column {column!r} is no gold answer", got=repr(value)[:80], expected="text, a number, or a list of these"
        )
    return golds


def _is_gold(value: object) -> bool:
    if isinstance(value, str):
        return bool(value.strip())
    return isinstance(value, int | float) and not isinstance(value, bool)


def _verdict(parsed: str | None, *, correct: bool) -> Verdict:
    return Verdict(reward=float(correct), correct=correct, parsed=parsed)
