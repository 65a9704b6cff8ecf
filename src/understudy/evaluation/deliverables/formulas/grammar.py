"""Formulas as trees: numbers, texts, cells and ranges, operators, and functions by name."""

from __future__ import annotations

import re
from dataclasses import dataclass

from understudy.evaluation.deliverables.cells import position_of

_SHEET = r"(?:'(?:[^']|'')+'|[A-Za-z_\u00c0-\uffff][\w.]*)!"
_CELL = r"\$?[A-Za-z]{1,3}\$?[0-9]{1,7}"
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<text>"(?:[^"]|"")*")
    | (?P<area>(?:{_SHEET})?(?:{_CELL}:{_CELL}|\$?[A-Za-z]{{1,3}}:\$?[A-Za-z]{{1,3}}|{_CELL})(?![\w(!.]))
    | (?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    | (?P<name>[A-Za-z_][\w.]*(?=\s*\()|TRUE\b|FALSE\b)
    | (?P<error>\#(?:REF!|DIV/0!|N/A|NAME\?|NULL!|NUM!|VALUE!))
    | (?P<sign><=|>=|<>|[-+*/^&=<>%(),;])
    )\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_DEPTH = 60
_OPERATIONS = 120
_LONGEST = 8192
_LEVELS = (("=", "<>", "<", ">", "<=", ">="), ("&",), ("+", "-"), ("*", "/"), ("^",))
LAST_ROW = 1 << 20


class NotPlainError(ValueError):
    """The formula has something that is not computed here."""


@dataclass(frozen=True)
class Constant:
    """A number, text, truth value, or error written into the formula."""

    value: float | str | bool


@dataclass(frozen=True)
class Area:
    """Cells of one worksheet, corners included, from 0; ``sheet`` None is the formula's own."""

    sheet: str | None
    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class Operation:
    """A binary operator, or a unary one with ``right`` None (``-``, ``+``, ``%``)."""

    sign: str
    left: Node
    right: Node | None = None


@dataclass(frozen=True)
class Function:
    """A function's upper-case name and its arguments; None is one left out."""

    name: str
    arguments: tuple[Node | None, ...]


Node = Constant | Area | Operation | Function


def tree_of(formula: str) -> Node:
    """The tree of a formula, its equals sign included.

    Excel's order of binding: sign, percent, ``^``, ``* /``, ``+ -``, ``&``, comparisons; all from left to right.

    Raises:
        NotPlainError: it has names, arrays, other workbooks, or is no formula.
    """
    if len(formula) > _LONGEST:
        raise NotPlainError("longer than any formula may be")
    parser = _Parser(_tokens(formula[1:]))
    tree = parser.level(0)
    if parser.at < len(parser.tokens):
        raise NotPlainError(f"unexpected {parser.tokens[parser.at][1]!r}")
    return tree


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise NotPlainError(f"unexpected {text[at : at + 20]!r}")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens, of bounded depth."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens, self.at, self._depth, self._operations = tokens, 0, 0, 0

    def level(self, number: int) -> Node:
        if number == len(_LEVELS):
            return self._signed()
        node = self.level(number + 1)
        while (sign := self._sign()) in _LEVELS[number]:
            self.at += 1
            self._operations += 1
            if self._operations > _OPERATIONS:  # the tree is walked by recursion
                raise NotPlainError("too many operators")
            node = Operation(sign, node, self.level(number + 1))
        return node

    def _sign(self) -> str:
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        return text if kind == "sign" else ""

    def _signed(self) -> Node:
        self._depth += 1
        if self._depth > _DEPTH:
            raise NotPlainError("nested too deeply")
        sign = self._sign()
        if sign in ("-", "+"):
            self.at += 1
            node: Node = Operation(sign, self._signed())
        else:
            node = self._single()
            while self._sign() == "%":
                self.at += 1
                node = Operation("%", node)
        self._depth -= 1
        return node

    def _single(self) -> Node:
        if self.at >= len(self.tokens):
            raise NotPlainError("it ends early")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return Constant(float(text))
        if kind == "text":
            return Constant(text[1:-1].replace('""', '"'))
        if kind == "error":
            return Constant(text.upper())
        if kind == "area":
            return _area(text)
        if kind == "name":
            is_truth = text.upper() in ("TRUE", "FALSE") and self._sign() != "("
            return Constant(text.upper() == "TRUE") if is_truth else Function(text.upper(), self._arguments())
        if text != "(":
            raise NotPlainError(f"unexpected {text!r}")
        node = self.level(0)
        self._expect(")")
        return node

    def _arguments(self) -> tuple[Node | None, ...]:
        self._expect("(")
        if self._sign() == ")":
            self.at += 1
            return ()
        found: list[Node | None] = []
        while True:
            found.append(None if self._sign() in (",", ";", ")") else self.level(0))
            sign = self._sign()
            self.at += 1
            if sign == ")":
                return tuple(found)
            if sign not in (",", ";"):
                raise NotPlainError("an argument that does not end")

    def _expect(self, sign: str) -> None:
        if self._sign() != sign:
            raise NotPlainError(f"{sign!r} is missing")
        self.at += 1


def _area(text: str) -> Area:
    sheet, _, cells = text.rpartition("!")
    named = sheet[1:-1].replace("''", "'") if sheet.startswith("'") else sheet
    if "[" in named or ":" in named:
        raise NotPlainError("it reads another workbook or several sheets at once")
    first, _, last = cells.replace("$", "").partition(":")
    whole = not first[-1].isdigit()
    top, left = position_of(first + "1" if whole else first)
    last = last or first
    bottom, right = position_of(f"{last}{LAST_ROW}" if whole else last)
    return Area(named or None, min(top, bottom), min(left, right), max(top, bottom), max(left, right))
