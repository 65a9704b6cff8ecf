"""Checks of tables: single cells, and whole sheets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from understudy.errors import DataError
from understudy.evaluation.deliverables import Value, shown
from understudy.evaluation.programs.reading import list_argument, rows_of, table_of, text_argument, words_in

_TABLES = (".xlsx", ".xlsm", ".csv", ".tsv")


def excel_cell_value(
    workspace: Path,
    arguments: Mapping[str, object],
    files: Mapping[str, Path],  # noqa: ARG001
) -> str | None:
    """Cells of the first sheet, by row and column from 1, hold these values: equal as numbers, or as texts.

    A formula counts with the value it gives.
    """
    sheet = table_of(workspace / text_argument(arguments, "file"), inside=workspace)
    for match in list_argument(arguments, "matches"):
        if not isinstance(match, Mapping) or not {"row", "col", "value"} <= match.keys():
            raise DataError("a match has no row, col and value", got=repr(match))
        row, column = _index(match["row"]), _index(match["col"])
        inside = row < len(sheet.rows) and column < len(sheet.rows[row])
        value = sheet.rows[row][column] if inside else None
        if not _equal(value, str(match["value"])):
            return f"cell ({match['row']}, {match['col']}) holds {shown(value)!r}, not {match['value']!r}"
    return None


def exact_match(workspace: Path, arguments: Mapping[str, object], files: Mapping[str, Path]) -> str | None:
    """A file says what the expected one says: the same values in every cell of the first sheet, or the same words."""
    result, expected = text_argument(arguments, "result_file"), files.get(text_argument(arguments, "expected_file"))
    if expected is None:
        raise DataError("there is no expected file", got=arguments["expected_file"], expected=", ".join(files))
    path = workspace / result
    if path.suffix.lower() not in _TABLES:
        same = words_in(path, inside=workspace).split() == words_in(expected, inside=expected.parent).split()
        return None if same else "it does not say the same"
    wanted, found = rows_of(table_of(expected, inside=None)), rows_of(table_of(path, inside=workspace))
    if len(wanted) != len(found):
        return f"it has {len(found)} rows, not {len(wanted)}"
    number = next((n for n, pair in enumerate(zip(wanted, found, strict=True), 1) if pair[0] != pair[1]), None)
    return None if number is None else f"row {number} is {found[number - 1]}, not {wanted[number - 1]}"


def _index(value: object) -> int:
    try:
        index = int(str(value)) - 1
    except ValueError as error:
        raise DataError("a row or column is no number", got=repr(value)) from error
    if index < 0:
        raise DataError("rows and columns are counted from 1", got=repr(value))
    return index


def _equal(value: Value, expected: str) -> bool:
    if isinstance(value, bool) or value is None:
        return shown(value) == expected
    try:
        return math.isclose(float(value), float(expected), rel_tol=1e-9, abs_tol=1e-9)
    except ValueError:
        return shown(value).strip() == expected.strip()
