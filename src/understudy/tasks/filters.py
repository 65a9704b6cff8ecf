"""Which rows of a data set are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from understudy.tasks.rows import Row
from understudy.tasks.templates import missing_column

Columns = Mapping[str, object]


def row_filter(wanted: Mapping[str, object]) -> Callable[[Columns], bool]:
    """A function that tells whether every column has the value, or one of the values, that is wanted of it.

    A number is also found in text that writes it the same way, as CSV files have it. The function raises
    MissingValueError for a row without the column.

    >>> row_filter({"level": (1, 2)})({"level": "2"}), row_filter({"checked": True})({"checked": 1})
    (True, False)
    """
    accepted = {name: _listed(value) for name, value in wanted.items()}

    def keeps(columns: Columns) -> bool:
        for name in accepted:
            if name not in columns:
                raise missing_column(name, columns)
        return all(any(_same(columns[name], value) for value in values) for name, values in accepted.items())

    return keeps


def values_found(rows: Iterable[Row], columns: Iterable[str], *, most: int = 5) -> str:
    """What these columns hold in the rows, for a message: a few different values each."""
    kept = list(rows)
    parts = []
    for name in columns:
        values = list(dict.fromkeys(repr(row.columns.get(name))[:40] for row in kept))
        more = ", ..." if len(values) > most else ""
        parts.append(f"{name}: {', '.join(values[:most])}{more}")
    return "; ".join(parts)


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, tuple | list) else (value,)


def _same(cell: object, wanted: object) -> bool:
    if isinstance(wanted, bool) or isinstance(cell, bool) or wanted is None:
        return cell is wanted
    if isinstance(cell, str) and not isinstance(wanted, str):
        return cell.strip() == str(wanted)
    return cell == wanted
