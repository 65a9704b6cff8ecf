"""Numbers as people and models write them in text."""

from __future__ import annotations

import re
from fractions import Fraction

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{{1,3}}(?!\d))?"
_NUMBER = re.compile(rf"(?:(?<![\w.)\]}}])[-+]\$?)?({_DECIMAL})(?:\s?/\s?({_DECIMAL}))?", re.ASCII)
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\{(\d{1,100})\}\{(\d{1,100})\}", re.ASCII)
_MAX_CHARACTERS = 400
"""A longer run of digits is no answer, and reading one costs quadratic time."""


def last_number(text: str) -> Fraction | None:
    r"""The last number in ``text``, exactly; None where there is none or it cannot be read.

    Thousands commas, decimals, exponents and fractions are read; a minus after a digit or bracket is a subtraction.

    >>> last_number("so 7*8 = 56."), last_number("it costs $1,234.50"), last_number(r"x = -\frac{1}{2}")
    (Fraction(56, 1), Fraction(2469, 2), Fraction(-1, 2))
    >>> last_number("10-3") == 3, last_number("none") is None
    (True, True)
    """
    plain = _LATEX_FRACTION.sub(r"\1/\2", text.replace("\u2212", "-"))
    found = None
    for found in _NUMBER.finditer(plain):  # noqa: B007  (the last one is wanted)
        pass
    if found is None or len(found.group()) > _MAX_CHARACTERS:
        return None
    numerator, denominator = _exact(found.group(1)), _exact(found.group(2) or "1")
    if not denominator:
        return None
    return -numerator / denominator if found.group().startswith("-") else numerator / denominator


def _exact(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
