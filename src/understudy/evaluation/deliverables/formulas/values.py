"""Numbers, texts, truth values and errors, as formulas treat them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from understudy.evaluation.deliverables.deliverable import Value
from understudy.evaluation.deliverables.formulas.grammar import NotPlainError

ERRORS = frozenset(("#REF!", "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#VALUE!"))
DIVISION, NOT_A_NUMBER, NO_VALUE = "#DIV/0!", "#NUM!", "#VALUE!"
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?: .*)?|\d\d:\d\d:\d\d(?:\.\d+)?")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_LONGEST_TEXT = 32767
_SAME = 2.0**-48
"""Numbers this near one another, as a share of the first, are one number to a spreadsheet program: 0.1+0.2 is 0.3."""


class FormulaError(Exception):
    """An error value on its way out of a formula; ``code`` is one of ``ERRORS``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def is_error(value: Value) -> bool:
    """Whether a cell shows an error."""
    return isinstance(value, str) and value in ERRORS


def number_of(value: Value) -> float:
    """The value in arithmetic: nothing is 0, truth 1, text what it spells.

    Raises:
        FormulaError: the value is an error or no number. NotPlainError: it is a date, whose number is not known here.
    """
    if isinstance(value, str):
        if value in ERRORS:
            raise FormulaError(value)
        refuse_date(value)
        if _NUMBER.fullmatch(value.strip()):
            return finite(float(value))
        if any(letter.isdigit() for letter in value):
            raise NotPlainError("text that may spell a number")  # "1,200" and "5%" do, after the program's language
        raise FormulaError(NO_VALUE)
    return finite(float(value or 0))


def nearly_equal(one: float, other: float) -> bool:
    """Whether a spreadsheet program takes two numbers that differ by no more than rounding for the same."""
    exact = one.is_integer() and other.is_integer() and abs(one) <= 2**53
    return one == other or (not exact and abs(one - other) < abs(one) * _SAME)


def finite(number: float) -> float:
    """The number itself; raises FormulaError where it is infinite or none."""
    if not math.isfinite(number):
        raise FormulaError(NOT_A_NUMBER)
    return number


def refuse_date(value: Value) -> None:
    """Raises NotPlainError for a date or time: readers keep them as text, formulas count days."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        raise NotPlainError("it calculates with dates")


def text_of(value: Value) -> str:
    """The value joined to text: whole numbers without a point.

    Raises:
        FormulaError: the value is an error.
    """
    if is_error(value):
        raise FormulaError(str(value))
    refuse_date(value)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return f"{value:.15g}"
    return (value or "")[:_LONGEST_TEXT]


def truth_of(value: Value) -> bool:
    """The value as a condition.

    Raises:
        FormulaError: the value is an error, or text.
    """
    if isinstance(value, str) and value.upper() in ("TRUE", "FALSE"):
        return value.upper() == "TRUE"
    return number_of(value) != 0


def compared(sign: str, left: Value, right: Value) -> bool:
    """A comparison: numbers before texts before truth values, texts without regard to case, nothing as 0 or ``""``."""
    for value in (left, right):
        if is_error(value):
            raise FormulaError(str(value))
        refuse_date(value)
    left = _filled(left, right)
    right = _filled(right, left)
    a, b = _rank(left), _rank(right)
    if a[0] == b[0] == 0 and nearly_equal(a[1], b[1]):
        b = a
    tests: dict[str, Callable[..., bool]] = {
        "=": lambda: a == b,
        "<>": lambda: a != b,
        "<": lambda: a < b,
        ">": lambda: a > b,
        "<=": lambda: a <= b,
        ">=": lambda: a >= b,
    }
    return tests[sign]()


def _filled(value: Value, other: Value) -> Value:
    if value is not None:
        return value
    return "" if isinstance(other, str) else False if isinstance(other, bool) else 0


def _rank(value: Value) -> tuple[int, float, str]:
    if isinstance(value, bool):
        return (2, float(value), "")
    return (1, 0.0, value.casefold()) if isinstance(value, str) else (0, float(value or 0), "")
