"""The five tables of WorkBench, as text: an episode changes a copy of them.

Source: Styles et al., arXiv:2405.00823; the tables are read from the published folder (MIT), which stays outside.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from understudy.errors import DataError

Row = dict[str, str]
FILES: Mapping[str, tuple[str, str]] = {
    "calendar": ("calendar_events.csv", "event_id"),
    "email": ("emails.csv", "email_id"),
    "analytics": ("analytics_data.csv", "visitor_id"),
    "project_management": ("project_tasks.csv", "task_id"),
    "customer_relationship_manager": ("customer_relationship_manager_data.csv", "customer_id"),
}
"""File of each table, and the column that identifies a row."""


@dataclass
class Databases:
    """The tables of one episode.

    Args:
        tables: rows of each, by the name of its domain. directory: addresses of colleagues. plots: that were drawn.
    """

    tables: dict[str, list[Row]]
    directory: tuple[str, ...]
    plots: list[Row] = field(default_factory=list)

    def copy(self) -> Databases:
        """Tables of their own, with the same rows."""
        return Databases({name: [dict(row) for row in rows] for name, rows in self.tables.items()}, self.directory)

    def state(self) -> Mapping[str, object]:
        """What is compared at the end: all rows, whatever their order and their case."""
        found: dict[str, object] = {
            name: sorted(tuple(value.lower() for value in row.values()) for row in rows)
            for name, rows in self.tables.items()
        }
        return found | {"plots": sorted(tuple(value.lower() for value in row.values()) for row in self.plots)}

    def row(self, table: str, id: str) -> Row | None:
        """The row of that identifier; None where there is none."""
        column = FILES[table][1]
        return next((row for row in self.tables[table] if row[column] == id), None)

    def where(self, table: str, holds: Callable[[Row], bool]) -> list[Row]:
        """The rows for which something holds, in order."""
        return [row for row in self.tables[table] if holds(row)]

    def new_id(self, table: str) -> str:
        """One more than the largest identifier."""
        column = FILES[table][1]
        return f"{max((int(row[column]) for row in self.tables[table]), default=-1) + 1:08d}"


def read_databases(folder: Path) -> Databases:
    """The tables as they are before anybody works on them.

    Raises:
        DataError: a file is missing, empty, or lacks its identifier.
    """
    tables = {name: _rows(folder / file, column) for name, (file, column) in FILES.items()}
    addresses = folder / "email_addresses.csv"
    try:
        directory = tuple(line.strip() for line in addresses.read_text(encoding="utf-8").splitlines() if line.strip())
    except OSError as error:
        raise DataError(f"{addresses} cannot be read", got=error.strerror) from error
    return Databases(tables, directory)


def _rows(path: Path, column: str) -> list[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [dict(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read", got=str(error)) from error
    if not rows or any(None in row or None in row.values() or not row.get(column) for row in rows):
        raise DataError(f"{path} is no table of WorkBench", expected=f"rows with {column}")
    return rows
