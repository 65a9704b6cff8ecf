"""The value of one formula's tree, given the values of the cells it reads."""

from __future__ import annotations

from collections.abc import Callable

from understudy.evaluation.deliverables.deliverable import Value
from understudy.evaluation.deliverables.formulas.functions import FUNCTIONS, Argument, Cells, single
from understudy.evaluation.deliverables.formulas.grammar import Area, Constant, Function, Node, NotPlainError, Operation
from understudy.evaluation.deliverables.formulas.values import (
    DIVISION,
    NO_VALUE,
    NOT_A_NUMBER,
    FormulaError,
    compared,
    finite,
    is_error,
    nearly_equal,
    number_of,
    text_of,
    truth_of,
)

Read = Callable[[Area], Cells]


def value_of(node: Node, read: Read) -> Value:
    """What the formula gives; an error is its code, such as ``#DIV/0!``.

    Raises:
        NotPlainError: it has what is not computed here.
    """
    try:
        value = single(_argument(node, read))
        return 0 if value is None else value  # a formula that points at nothing shows 0
    except FormulaError as error:
        return error.code
    except OverflowError:
        return NOT_A_NUMBER
    except (IndexError, TypeError) as error:
        raise NotPlainError("arguments that do not fit the function") from error


def _argument(node: Node | None, read: Read) -> Argument:
    if node is None:
        return None
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Area):
        return read(node)
    return _function(node, read) if isinstance(node, Function) else _operation(node, read)


def _value(node: Node | None, read: Read) -> Value:
    return single(_argument(node, read))


def _operation(node: Operation, read: Read) -> Value:
    left = _value(node.left, read)
    if node.right is None:
        number = number_of(left)
        return {"-": -number, "+": number, "%": number / 100}[node.sign]
    right = _value(node.right, read)
    if node.sign == "&":
        return text_of(left) + text_of(right)
    if node.sign in ("=", "<>", "<", ">", "<=", ">="):
        return compared(node.sign, left, right)
    return _arithmetic(node.sign, number_of(left), number_of(right))


def _arithmetic(sign: str, left: float, right: float) -> float:
    if sign == "/" and right == 0:
        raise FormulaError(DIVISION)
    if sign == "^":
        if left == 0 and right <= 0:
            raise FormulaError(NOT_A_NUMBER if right == 0 else DIVISION)
        power = left**right
        if isinstance(power, complex):
            raise FormulaError(NOT_A_NUMBER)
        return finite(power)
    if sign in "+-":
        other = right if sign == "-" else -right
        return 0.0 if nearly_equal(left, other) else finite(left - other)
    return finite(left * right if sign == "*" else left / right)


def _function(node: Function, read: Read) -> Argument:
    arguments = node.arguments
    if node.name == "IF" and 2 <= len(arguments) <= 3:
        branch = 1 if truth_of(_value(arguments[0], read)) else 2
        return False if branch >= len(arguments) else _or_zero(_argument(arguments[branch], read))
    if node.name == "IFERROR" and len(arguments) == 2:
        try:
            value = _value(arguments[0], read)
        except FormulaError:
            return _or_zero(_argument(arguments[1], read))
        return _or_zero(_argument(arguments[1], read)) if is_error(value) else value
    if node.name not in FUNCTIONS:
        raise NotPlainError(f"the function {node.name}")
    if not arguments:
        raise FormulaError(NO_VALUE)
    return FUNCTIONS[node.name]([_argument(argument, read) for argument in arguments])


def _or_zero(argument: Argument) -> Argument:
    return 0 if argument is None else argument
