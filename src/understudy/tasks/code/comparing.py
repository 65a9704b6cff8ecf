"""Whether what a program wrote, or gave back, is what a LiveCodeBench test expects."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any


def same_output(written: str, expected: str) -> bool:
    """Line by line, white space around lines and text ignored; a line may also be the same numbers.

    >>> same_output("1.0 2\\n yes \\n", "1 2.00\\nyes")
    True
    >>> same_output("1\\n\\n2", "1\\n2")
    False
    """
    found, wanted = _lines(written), _lines(expected)
    return len(found) == len(wanted) and all(
        one == other or _same_numbers(one, other) for one, other in zip(found, wanted, strict=True)
    )


def same_value(given: Any, expected: Any) -> bool:
    """Equal as Python values, where a tuple counts as a list, as it does to JSON.

    >>> same_value((1, (2.0,)), [1, [2]])
    True
    """
    return bool(_as_lists(given) == expected)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_numbers(one: str, other: str) -> bool:
    try:
        return [Decimal(word) for word in one.split()] == [Decimal(word) for word in other.split()]
    except InvalidOperation:
        return False


def _as_lists(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_as_lists(one) for one in value]
    if isinstance(value, dict):
        return {key: _as_lists(one) for key, one in value.items()}
    return value
