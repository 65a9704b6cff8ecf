"""Numbers as people and models write them in text."""

from __future__ import annotations

import re
from fractions import Fraction

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{{1,3}}(?!\d))?"
_WHOLE = rf"(?:({_DIGITS})[ ](?=\d{{1,100}}\s?/\s?\d))?"
_NUMBER = re.compile(rf"(?:(?<![\w.)\]}}])[-+]\$?)?{_WHOLE}({_DECIMAL})(?:\s?/\s?({_DECIMAL}))?", re.ASCII)
_FRACTION = r"\\[dt]?frac\s?(?:\{(-?\d{1,100})\}|(\d))\s?(?:\{(\d{1,100})\}|(\d))"
_LATEX_FRACTION, _AFTER_A_DIGIT = (re.compile(start + _FRACTION, re.ASCII) for start in ("", r"(?<=\d)\s?"))
_MAX_CHARACTERS = 400
"""A longer run of digits is no answer, and reading one costs quadratic time."""


def last_number(text: str) -> Fraction | None:
    r"""The last number in ``text``, exactly; None where there is none or it cannot be read.

    Thousands commas, decimals, exponents, fractions and mixed numbers are read; a minus after a digit or bracket is a
    subtraction.

    >>> last_number("so 7*8 = 56."), last_number("it costs $1,234.50"), last_number(r"x = -\frac{1}{2}")
    (Fraction(56, 1), Fraction(2469, 2), Fraction(-1, 2))
    >>> last_number("10-3") == 3, last_number("3 1/2") == 3.5, last_number("none") is None
    (True, True, True)
    """
    plain = _AFTER_A_DIGIT.sub(r" \1\2/\3\4 ", text.replace("\u2212", "-"))
    plain = _LATEX_FRACTION.sub(r"\1\2/\3\4 ", plain)
    found = None
    for found in _NUMBER.finditer(plain):  # noqa: B007  (the last one is wanted)
        pass
    if found is None or len(found.group()) > _MAX_CHARACTERS:
        return None
    whole, numerator, denominator = (
        _exact(part or default) for part, default in zip(found.groups(), "001", strict=True)
    )
    if not denominator:
        return None
    size = numerator / denominator + (whole if numerator < denominator else 0)
    return -size if found.group().startswith("-") else size


def _exact(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
