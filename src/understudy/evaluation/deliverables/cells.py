"""Cells of a worksheet by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from understudy.evaluation.deliverables.deliverable import Sheet, Value

_SHEET_REFERENCE = re.compile(r"(?:'((?:[^']|'')+)'|(?<![#\w])([A-Za-z_\u00c0-\uffff][\w.]*))!")
_LONGEST = 8192
"""Of a formula, in Excel."""
_TEXT_IN_FORMULA = re.compile(r'"[^"]*"')


def value_at(rows: Sequence[Sequence[Value]], place: str) -> Value:
    """The value of a cell by its name; None outside.

    >>> value_at([[1, 2], [3, 4]], "B2")
    4
    """
    row, column = position_of(place)
    return rows[row][column] if row < len(rows) and column < len(rows[row]) else None


def position_of(place: str) -> tuple[int, int]:
    """Row and column of a cell's name, from 0.

    >>> position_of("AA10")
    (9, 26)
    """
    letters = place.rstrip("0123456789")
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - 64
    return int(place[len(letters) :]) - 1, column - 1


def place_of(row: int, column: int) -> str:
    """The name of a cell by its row and column, from 0.

    >>> place_of(9, 26)
    'AA10'
    """
    return f"{letters_of(column)}{row + 1}"


def letters_of(column: int) -> str:
    """The name of a column, from 0.

    >>> letters_of(0), letters_of(25), letters_of(26)
    ('A', 'Z', 'AA')
    """
    letters, column = "", column + 1
    while column:
        column, digit = divmod(column - 1, 26)
        letters = chr(65 + digit) + letters
    return letters


def sheets_named_in(formula: str) -> list[str]:
    """The worksheets that a formula reads, as written; other workbooks (``[1]Sheet``) count with their brackets.

    >>> sheets_named_in("=SUM('Q1 data'!A1:A3)+Rates!B2")
    ['Q1 data', 'Rates']
    """
    plain = _TEXT_IN_FORMULA.sub('""', formula[:_LONGEST])
    named = [(quoted or bare).replace("''", "'") for quoted, bare in _SHEET_REFERENCE.findall(plain)]
    return [part for name in named for part in name.split(":")]  # 'Jan:Mar'!A1 names the first and the last of several


def with_values(sheet: Sheet, values: Mapping[str, Value]) -> Sheet:
    """The sheet with computed values put where its formulas have none."""
    places = {position_of(place): value for place, value in values.items()}
    height = max([len(sheet.rows), *(row + 1 for row, _ in places)])
    width = max([len(sheet.rows[0]) if sheet.rows else 0, *(column + 1 for _, column in places)])
    rows = [[*row, *[None] * (width - len(row))] for row in sheet.rows]
    rows += [[None] * width for _ in range(height - len(rows))]
    for (row, column), value in places.items():
        rows[row][column] = value
    left = tuple(place for place in sheet.not_computed if place not in values)
    return replace(
        sheet,
        rows=tuple(tuple(row) for row in rows),
        num_rows=max(sheet.num_rows, height),
        num_columns=max(sheet.num_columns, width),
        not_computed=left,
    )
