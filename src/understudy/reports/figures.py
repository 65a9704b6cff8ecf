"""Numbers as a reader wants them: few digits, true minus signs, a dash for what is not there."""

from __future__ import annotations

import math
from collections.abc import Mapping

ABSENT = "–"
NO_BREAK = "\N{NO-BREAK SPACE}"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, *, digits: int = 3) -> str:
    """About ``digits`` significant digits.

    >>> [number(value) for value in (0.0, 53.0, 1234.5, -2.58402, None, float("nan"))]
    ['0', '53', '1,234', '−2.58', '–', '–']
    >>> print(number(0.00001234))
    1.23 × 10⁻⁵
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    size = abs(value)
    if value and not 1e-4 <= size < 1e7:
        return _scientific(f"{value:.{digits - 1}e}")
    if value == int(value):
        return _minus(f"{value:,.0f}")
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    return _minus(f"{value:,.{decimals}f}")


def tick(value: float) -> str:
    """As ``number``, without the zeros at the end.

    >>> [tick(value) for value in (0.5, 200.0, 0.0003, 0.00025)]
    ['0.5', '200', '0.0003', '0.00025']
    """
    if value and not 1e-4 <= abs(value) < 1e6:
        return _scientific(f"{value:.2e}")
    return _minus(_stripped(f"{value:,.{6 if abs(value) < 1 else 3}f}"))


def percent(value: float | None, *, digits: int = 1, sign: bool = False) -> str:
    """A share as a percentage.

    >>> print(percent(0.471), percent(-0.0304, sign=True), percent(None))
    47.1 % −3.0 % –
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    return _minus(f"{100 * value:{'+' if sign else ''}.{digits}f}{NO_BREAK}%")


def p_value(value: float | None) -> str:
    """A p-value with its letter.

    >>> print(p_value(0.0312))
    p = 0.031
    """
    if value is None:
        return "p unknown"
    # Smaller than a number can be is not none at all.
    return NO_BREAK.join(("p", "<", "1e-300") if value == 0 else ("p", "=", number(value, digits=2)))


def duration(seconds: float | None) -> str:
    """Wall clock.

    >>> duration(13.34), duration(252.0), duration(7384.0)
    ('13.3 s', '4 min 12 s', '2 h 3 min')
    """
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count(value: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "problem"), count(1000, "problem")
    ('1 problem', '1,000 problems')
    """
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def as_number(value: object) -> float | None:
    """The value where it is a finite number, else None: files are read as they are, not as they should be."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond any float
        return None


def as_mapping(value: object) -> Mapping[str, object]:
    """The value where it is a mapping, else nothing."""
    return value if isinstance(value, Mapping) else {}


def _scientific(text: str) -> str:
    mantissa, exponent = text.split("e")
    power = f"10{str(int(exponent)).translate(_RAISED)}"
    return _minus(NO_BREAK.join((_stripped(mantissa), "×", power)))


def _stripped(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def _minus(text: str) -> str:
    return text.replace("-", "−")
