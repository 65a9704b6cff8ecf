"""Two tables beside each other: rows matched, cells that differ marked, a gap where one side has no such row."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from understudy.comparing.page.text_diff import matches
from understudy.evaluation.deliverables import Sheet, shown
from understudy.evaluation.deliverables.cells import letters_of, place_of

MAX_ROWS, MAX_COLUMNS = 200, 26
"""Shown of each table."""


@dataclass(frozen=True)
class Cell:
    """One cell as it is shown.

    Args:
        formula: behind it, or empty. changed: the other side's cell of this place differs. is_number: set to the right.
    """

    text: str
    formula: str = ""
    changed: bool = False
    is_number: bool = False
    highlighted: bool = False


@dataclass(frozen=True)
class Row:
    """One row; ``number`` is its own, None where the other side alone has one here."""

    number: int | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class TableView:
    """A table as it is shown: its name, column letters, rows, and what is left out."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


Rows = list[tuple[Cell, ...]]


def table_view(sheet: Sheet) -> TableView:
    """A table without a counterpart."""
    rows = tuple(Row(number + 1, cells) for number, cells in enumerate(_cells(sheet)))
    return TableView(sheet.name, _letters(sheet), rows, _note(sheet))


def table_views(first: Sheet, second: Sheet) -> tuple[TableView, TableView]:
    """Two tables with their differences marked; both have the same number of rows, gaps included."""
    a, b = _cells(first), _cells(second)
    rows_a, rows_b = list[Row](), list[Row]()
    for left, right in _aligned(a, b):
        rows_a.append(_row(a, left, other=None if right is None else b[right]))
        rows_b.append(_row(b, right, other=None if left is None else a[left]))
    return (
        TableView(first.name, _letters(first), tuple(rows_a), _note(first)),
        TableView(second.name, _letters(second), tuple(rows_b), _note(second)),
    )


def _aligned(a: Rows, b: Rows) -> Iterator[tuple[int | None, int | None]]:
    """Rows that belong together: equal ones, then within what differs those that begin alike, then those in order."""
    keys_a, keys_b = ([tuple(_key(cell) for cell in row) for row in cells] for cells in (a, b))
    for match in matches(keys_a, keys_b):
        for closer in matches(_names(a, match.a), _names(b, match.b)):
            for place in range(max(len(closer.a), len(closer.b))):
                yield (
                    match.a[closer.a[place]] if place < len(closer.a) else None,
                    match.b[closer.b[place]] if place < len(closer.b) else None,
                )


def _names(cells: Rows, places: range) -> list[Hashable]:
    return [_key(cells[place][0]) if cells[place] else None for place in places]


def _row(cells: Rows, index: int | None, *, other: tuple[Cell, ...] | None) -> Row:
    if index is None:
        return Row(None, ())
    marked = tuple(
        _marked(cell, None if other is None else other[place : place + 1]) for place, cell in enumerate(cells[index])
    )
    return Row(index + 1, marked)


def _marked(cell: Cell, counterpart: tuple[Cell, ...] | None) -> Cell:
    """Against the cell of the same column; an empty cell lacks nothing, and a formula is not the figure it gives."""
    same = bool(counterpart) and _key(counterpart[0]) == _key(cell) if counterpart is not None else False
    changed = not same and bool(cell.text or cell.formula or (counterpart and counterpart[0].text))
    return Cell(cell.text, cell.formula, changed, cell.is_number, cell.highlighted)


def _key(cell: Cell) -> tuple[str, str]:
    return cell.text, cell.formula


def _cells(sheet: Sheet) -> Rows:
    filled = set(sheet.highlighted)
    return [
        tuple(
            _cell(value, sheet.formulas.get(name, ""), highlighted=name in filled)
            for column, value in enumerate(row[:MAX_COLUMNS])
            for name in (place_of(number, column),)
        )
        for number, row in enumerate(sheet.rows[:MAX_ROWS])
    ]


def _cell(value: object, formula: str, *, highlighted: bool) -> Cell:
    text = shown(value)  # type: ignore[arg-type]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return Cell(text or formula, formula, is_number=is_number, highlighted=highlighted)


def _letters(sheet: Sheet) -> tuple[str, ...]:
    return tuple(letters_of(column) for column in range(min(MAX_COLUMNS, max(map(len, sheet.rows), default=0))))


def _note(sheet: Sheet) -> str:
    rows, columns = min(len(sheet.rows), MAX_ROWS), min(sheet.num_columns, MAX_COLUMNS)
    parts = [
        f"{rows} of {sheet.num_rows:,} rows" if sheet.num_rows > rows else "",
        f"{columns} of {sheet.num_columns:,} columns" if sheet.num_columns > columns else "",
    ]
    return f"{' and '.join(filter(None, parts))} are shown." if any(parts) else ""
