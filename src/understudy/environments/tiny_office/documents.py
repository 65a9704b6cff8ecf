"""The files of the tiny office as records: a small spreadsheet or a note of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

FIRST_ROW = 2
"""Of the things, below the header."""
TOTAL, OVER, DATE, SIGN = "total", "over", "date", "sign"


@dataclass(frozen=True)
class Row:
    """A thing and its figure; None is an empty cell. ``marked`` cells are highlighted."""

    thing: str
    value: int | None
    marked: bool = False


@dataclass(frozen=True)
class Line:
    """What stands below the rows, or in a note: a label and what it says; text that begins with ``=`` is a formula."""

    label: str
    content: str | int

    @property
    def is_formula(self) -> bool:
        """Whether a spreadsheet computes it."""
        return isinstance(self.content, str) and self.content.startswith("=")


@dataclass(frozen=True)
class Document:
    """A spreadsheet of two columns with lines below, or a note that has lines only.

    Args:
        kind: which. column: what the figures are; empty in a note. rows: of a sheet. lines: in order, each label once.
    """

    kind: Literal["sheet", "note"]
    column: str = ""
    rows: tuple[Row, ...] = ()
    lines: tuple[Line, ...] = ()

    def line(self, label: str) -> Line | None:
        """The line of that label."""
        return next((line for line in self.lines if line.label == label), None)

    def with_line(self, label: str, content: str | int) -> Document:
        """The same with this line, in place of one of the same label or at the end."""
        new = Line(label, content)
        if self.line(label) is None:
            return replace(self, lines=(*self.lines, new))
        return replace(self, lines=tuple(new if line.label == label else line for line in self.lines))

    def with_rows(self, change: Callable[[Row], Row]) -> Document:
        """The same with every row changed."""
        return replace(self, rows=tuple(change(row) for row in self.rows))

    @property
    def values(self) -> dict[str, int | None]:
        """Figure by thing."""
        return {row.thing: row.value for row in self.rows}

    @property
    def order(self) -> str:
        """``up`` or ``down`` where the figures all go so from row to row; else, or with an empty one, empty."""
        known = [row.value for row in self.rows if row.value is not None]
        if len(known) < max(2, len(self.rows)):
            return ""
        return "up" if known == sorted(known) else "down" if known == sorted(known, reverse=True) else ""

    @property
    def figures(self) -> str:
        """The cells of the figures, as a formula names them."""
        return f"B{FIRST_ROW}:B{FIRST_ROW + len(self.rows) - 1}"


def total_formula(document: Document) -> str:
    """Adds the figures.

    >>> total_formula(Document("sheet", "price", (Row("pen", 4), Row("cup", 7))))
    '=SUM(B2:B3)'
    """
    return f"=SUM({document.figures})"


def count_formula(document: Document, bound: int) -> str:
    """Counts the figures above a bound.

    >>> count_formula(Document("sheet", "price", (Row("pen", 4),)), 5)
    '=COUNTIF(B2:B2,">5")'
    """
    return f'=COUNTIF({document.figures},">{bound}")'
