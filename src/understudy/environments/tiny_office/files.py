"""The tiny office's documents as real files: spreadsheets for any office program, and plain text."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from understudy.environments.tiny_office.documents import DATE, FIRST_ROW, OVER, SIGN, TOTAL, Document, Line, Row
from understudy.errors import UserMistakeError

SUFFIXES = {"sheet": ".xlsx", "note": ".txt"}
YEAR = 2026
"""Of every date in the office, whose agents say month and day only."""
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
YELLOW = "FFFFFF00"
_TITLES = {TOTAL: "Total", DATE: "Date", SIGN: "Signed"}
_LABELS = {title: label for label, title in _TITLES.items()}


def write_file(path: Path, document: Document) -> None:
    """Write a document by the path's suffix, ``.xlsx`` or ``.txt``."""
    if path.suffix == ".xlsx":
        _write_sheet(path, document)
    else:
        path.write_text("".join(f"{_title(line)}: {_said(line)}\n" for line in document.lines), encoding="utf-8")


def read_file(path: Path) -> Document:
    """Read back what ``write_file`` wrote."""
    if path.suffix == ".xlsx":
        return _read_sheet(path)
    pairs = (line.split(": ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return Document("note", lines=tuple(_line(title, said) for title, said in pairs))


def table_of(document: Document) -> list[list[tuple[str, bool]]]:
    """The cells of a document as text, as its file shows them, each with whether it is highlighted."""
    lines = [(_title(line), _said(line)) for line in document.lines]
    if document.kind == "note":
        return [[(f"{title}: {said}", False)] for title, said in lines]
    rows = [[(row.thing, False), ("" if row.value is None else str(row.value), row.marked)] for row in document.rows]
    heading = [("Item", False), (document.column.capitalize(), False)]
    return [heading, *rows, *([(title, False), (said, False)] for title, said in lines)]


def _write_sheet(path: Path, document: Document) -> None:
    openpyxl = _openpyxl()
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["Item", document.column.capitalize()])
    for cell in sheet[1]:
        cell.font = openpyxl.styles.Font(bold=True)
    for number, row in enumerate(document.rows, start=FIRST_ROW):
        sheet.append([row.thing, row.value])
        if row.marked:
            sheet.cell(number, 2).fill = openpyxl.styles.PatternFill("solid", fgColor=YELLOW)
    for line in document.lines:
        sheet.append([_title(line), line.content if line.label in (TOTAL,) or _is_over(line) else _said(line)])
    book.save(path)


def _read_sheet(path: Path) -> Document:
    sheet = _openpyxl().load_workbook(path).active
    (_, column), *cells = [(first, second) for first, second in sheet.iter_rows(max_col=2)]
    # Labels are written with a capital, things are not.
    rows = [pair for pair in cells if str(pair[0].value).islower()]
    lines = [(str(pair[0].value), pair[1].value) for pair in cells[len(rows) :]]
    return Document(
        "sheet",
        column=str(column.value).lower(),
        rows=tuple(Row(a.value, b.value, b.fill.fill_type == "solid") for a, b in rows),
        lines=tuple(_line(title, said) for title, said in lines),
    )


def _title(line: Line) -> str:
    return line.label.capitalize() if _is_over(line) else _TITLES.get(line.label, line.label)


def _line(title: str, said: object) -> Line:
    label = _LABELS.get(title, title.lower())
    if label == DATE:
        day = date.fromisoformat(str(said))
        return Line(DATE, f"{MONTHS[day.month - 1]} {day.day}")
    text = str(said)
    return Line(label, int(text) if text.isdigit() else text)


def _said(line: Line) -> str:
    if line.label != DATE:
        return str(line.content)
    month, day = str(line.content).split()
    return date(YEAR, MONTHS.index(month) + 1, int(day)).isoformat()


def _is_over(line: Line) -> bool:
    return line.label.startswith(OVER)


def _openpyxl() -> Any:
    try:
        import openpyxl
        import openpyxl.styles
    except ImportError as error:
        raise UserMistakeError(
            "spreadsheets need openpyxl", got=error, remedy="pip install 'understudy[office]'"
        ) from error
    return openpyxl
