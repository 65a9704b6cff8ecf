"""The functions that are computed; every other one leaves its cell without a value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from statistics import median

from understudy.evaluation.deliverables.deliverable import Value
from understudy.evaluation.deliverables.formulas.grammar import NotPlainError
from understudy.evaluation.deliverables.formulas.values import (
    DIVISION,
    NO_VALUE,
    FormulaError,
    compared,
    finite,
    is_error,
    number_of,
    refuse_date,
    text_of,
    truth_of,
)

_CRITERION = re.compile(r"(<=|>=|<>|=|<|>)?(.*)", re.DOTALL)
_MOST_DIGITS = 100
_EXACT = Context(prec=512)
"""309 digits before the point and ``_MOST_DIGITS`` behind it."""


@dataclass(frozen=True)
class Cells:
    """The values of an area, row by row."""

    values: tuple[Value, ...]
    width: int


Argument = Value | Cells


def _flat(arguments: Sequence[Argument]) -> Iterator[tuple[Value, bool]]:
    """Every value, and whether it came from a cell: text in a cell is passed over, text in the formula is a mistake."""
    for argument in arguments:
        if isinstance(argument, Cells):
            for value in argument.values:
                yield value, True
        else:
            yield argument, False


def _numbers(arguments: Sequence[Argument]) -> list[float]:
    found = []
    for value, in_cell in _flat(arguments):
        if is_error(value):
            raise FormulaError(str(value))
        refuse_date(value)
        if not in_cell:
            found.append(number_of(value))
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append(float(value))
    return found


def _average(arguments: Sequence[Argument]) -> Value:
    numbers = _numbers(arguments)
    if not numbers:
        raise FormulaError(DIVISION)
    return math.fsum(numbers) / len(numbers)


def _count(arguments: Sequence[Argument]) -> Value:
    for value, _ in _flat(arguments):
        refuse_date(value)
    return sum(isinstance(value, int | float) and not isinstance(value, bool) for value, _ in _flat(arguments))


def _median(arguments: Sequence[Argument]) -> Value:
    numbers = _numbers(arguments)
    if not numbers:
        raise FormulaError("#NUM!")
    return float(median(numbers))


def _rounded(arguments: Sequence[Argument], mode: str) -> Value:
    """Halves away from zero, on the decimal digits that the number is shown with."""
    value = number_of(single(arguments[0]))
    digits = int(number_of(single(arguments[1]))) if len(arguments) > 1 else 0
    if abs(digits) > _MOST_DIGITS:
        raise NotPlainError("rounding to so many digits")
    shown = Decimal(f"{value:.15g}")
    return float(shown.quantize(Decimal(1).scaleb(-digits), rounding=mode, context=_EXACT)) if value else 0.0


def _condition(criterion: Value) -> Callable[[Value], bool]:
    """Of SUMIF and its like: a number, a text, or a comparison written as text.

    Raises:
        NotPlainError: it has wildcards, a truth value written as text, or an order with nothing.
    """
    if not isinstance(criterion, str):
        return lambda value: value is not None and not is_error(value) and compared("=", value, criterion)
    if "*" in criterion or "?" in criterion:
        raise NotPlainError("a condition with wildcards")
    match = _CRITERION.fullmatch(criterion)
    assert match is not None
    sign, operand = match.group(1) or "=", match.group(2)
    if not operand:
        return _emptiness(match.group(1))
    if operand.upper() in ("TRUE", "FALSE"):
        raise NotPlainError("a truth value written as text")
    bound: Value
    try:
        bound = float(operand)
    except ValueError:
        bound = operand
    alike = (int, float) if isinstance(bound, float) else (str,)

    def holds(value: Value) -> bool:
        fits = isinstance(value, alike) and not isinstance(value, bool) and not is_error(value)
        return compared(sign, value, bound) if fits else sign == "<>"

    return holds


def _emptiness(sign: str | None) -> Callable[[Value], bool]:
    """Of a condition that names no value: ``""`` is for cells that look empty, ``"="`` empty ones, ``"<>"`` others."""
    if sign not in (None, "=", "<>"):
        raise NotPlainError("a condition that orders by nothing")
    if sign is None:
        return lambda value: value is None or value == ""
    return lambda value: (value is None) == (sign == "=")


def _chosen(arguments: Sequence[Argument]) -> list[Value]:
    cells, criterion = arguments[0], single(arguments[1])
    summed = arguments[2] if len(arguments) > 2 else cells
    if not isinstance(cells, Cells) or not isinstance(summed, Cells) or len(cells.values) != len(summed.values):
        raise NotPlainError("ranges of different shapes")
    holds = _condition(criterion)
    return [value for test, value in zip(cells.values, summed.values, strict=True) if holds(test)]


def single(argument: Argument) -> Value:
    """The one value of an argument; raises NotPlainError for a range of several, which newer programs would spill."""
    if not isinstance(argument, Cells):
        return argument
    if len(argument.values) != 1:
        raise NotPlainError("a range where one value belongs")
    return argument.values[0]


def _of_chosen(arguments: Sequence[Argument]) -> list[Argument]:
    values = tuple(_chosen(arguments))
    return [Cells(values, len(values))]


def _sum_product(arguments: Sequence[Argument]) -> Value:
    columns = [argument.values for argument in arguments if isinstance(argument, Cells)]
    if len(columns) != len(arguments) or len({len(column) for column in columns}) != 1:
        raise FormulaError(NO_VALUE)
    products = []
    for values in zip(*columns, strict=True):
        numbers = [_numbers([Cells((value,), 1)]) for value in values]
        products.append(math.prod(number[0] if number else 0.0 for number in numbers))
    return finite(math.fsum(products))


def _truths(arguments: Sequence[Argument]) -> list[bool]:
    found = [truth_of(v) for v, in_cell in _flat(arguments) if not (in_cell and (v is None or isinstance(v, str)))]
    if not found:
        raise FormulaError(NO_VALUE)
    return found


FUNCTIONS: dict[str, Callable[[Sequence[Argument]], Value]] = {
    "SUM": lambda a: finite(math.fsum(_numbers(a))),
    "PRODUCT": lambda a: finite(math.prod(_numbers(a))) if _numbers(a) else 0.0,
    "AVERAGE": _average,
    "MEDIAN": _median,
    "MIN": lambda a: min(_numbers(a), default=0.0),
    "MAX": lambda a: max(_numbers(a), default=0.0),
    "COUNT": _count,
    "COUNTA": lambda a: sum(value is not None for value, _ in _flat(a)),
    "COUNTIF": lambda a: len(_chosen(a[:2])),
    "SUMIF": lambda a: finite(math.fsum(_numbers(_of_chosen(a)))),
    "AVERAGEIF": lambda a: _average(_of_chosen(a)),
    "SUMPRODUCT": _sum_product,
    "ROUND": lambda a: _rounded(a, ROUND_HALF_UP),
    "ROUNDUP": lambda a: _rounded(a, ROUND_UP),
    "ROUNDDOWN": lambda a: _rounded(a, ROUND_DOWN),
    "ABS": lambda a: abs(number_of(single(a[0]))),
    "INT": lambda a: float(math.floor(number_of(single(a[0])))),
    "AND": lambda a: all(_truths(a)),
    "OR": lambda a: any(_truths(a)),
    "NOT": lambda a: not truth_of(single(a[0])),
    "CONCATENATE": lambda a: "".join(text_of(single(one)) for one in a),
    "CONCAT": lambda a: "".join(text_of(value) for value, _ in _flat(a)),
}
"""IF and IFERROR are not among them: they compute only the argument they need (``evaluating.py``)."""
