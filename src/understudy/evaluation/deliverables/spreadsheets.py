"""Workbooks: values, formulas and what formulas give where the file does not say, with bounded rows."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from understudy.evaluation.deliverables.archives import opened_archive, pictures_within
from understudy.evaluation.deliverables.cells import position_of, sheets_named_in, value_at, with_values
from understudy.evaluation.deliverables.deliverable import Deliverable, Link, Sheet, Value, table_text
from understudy.evaluation.deliverables.formulas import computed
from understudy.evaluation.deliverables.limits import ReadingLimits

_STREAMED_BYTES = 8 << 20
"""Workbooks whose sheets are larger are read row by row, without merged ranges: whole ones take 50 times their size."""

_ERROR_REFERENCE = "#REF!"
_BOOK = "xl/workbook.xml"
_NOT_COMPUTED = " have no stored value and are not computed."


@dataclass
class _Found:
    """A worksheet being read."""

    sheet: Sheet
    links: list[Link] = field(default_factory=list)


def read_workbook(content: bytes, *, name: str, limits: ReadingLimits) -> Deliverable:
    """An ``.xlsx`` file; formulas without a stored value are computed where they are plain (``computed``).

    Raises:
        DeliverableError: see ``archives.opened_archive``.
    """
    with opened_archive(content, name=name, must_hold=_BOOK, limits=limits) as archive:
        streamed = _sheet_bytes(archive) > _STREAMED_BYTES
        images = pictures_within(archive, "xl/media/", limits)
        num_charts = sum(bool(re.fullmatch(r"xl/charts/chart\d*\.xml", member)) for member in archive.namelist())
    found, names, notes = _read_sheets(content, limits=limits, streamed=streamed)
    sheets = tuple(computed([one.sheet for one in found]))
    links = tuple(link for one in found for link in _links(one, names))
    read = Deliverable(name, "xlsx", len(content), "", sheets, (), images, links, len(names), num_charts, tuple(notes))
    return _with_sheets(read, sheets)


def needs_program(read: Deliverable) -> bool:
    """Whether it is a workbook with formulas that have no value, which another program may compute."""
    return read.kind == "xlsx" and any(sheet.not_computed for sheet in read.tables)


def recalculated(read: Deliverable, other: Deliverable) -> Deliverable:
    """The workbook with the values of ``other``, the same one as another program computed it, where it has none."""
    there = {sheet.name: sheet.rows for sheet in other.tables}
    sheets = []
    for sheet in read.tables:
        values = {place: value_at(there.get(sheet.name, ()), place) for place in sheet.not_computed}
        sheets.append(with_values(sheet, {place: value for place, value in values.items() if value is not None}))
    return _with_sheets(read, tuple(sheets))


def _with_sheets(read: Deliverable, sheets: tuple[Sheet, ...]) -> Deliverable:
    """With the text and the notes that these sheets have."""
    text = "\n\n".join(f"## Sheet {sheet.name}\n{table_text(sheet)}" for sheet in sheets)
    notes = tuple(note for note in read.notes if not note.endswith(_NOT_COMPUTED))
    if left := sum(len(sheet.not_computed) for sheet in sheets):
        notes += (f"{left} formulas{_NOT_COMPUTED}",)
    return replace(read, tables=sheets, text=text, notes=notes)


def _sheet_bytes(archive: zipfile.ZipFile) -> int:
    parts = (member for member in archive.infolist() if member.filename.startswith("xl/"))
    return sum(member.file_size for member in parts if member.filename.endswith(".xml"))


def _read_sheets(content: bytes, *, limits: ReadingLimits, streamed: bool) -> tuple[list[_Found], list[str], list[str]]:
    import openpyxl

    notes = ["Too large for its merged ranges to be read."] if streamed else []
    written = openpyxl.load_workbook(io.BytesIO(content), read_only=streamed, keep_links=False)
    values = openpyxl.load_workbook(io.BytesIO(content), read_only=streamed, keep_links=False, data_only=True)
    names, found = list(written.sheetnames), list[_Found]()
    for name in names[: limits.sheets]:
        sheet, stored = written[name], values[name]
        if hasattr(sheet, "iter_rows"):
            found.append(_read_sheet(sheet, stored, limits))
        else:
            found.append(_Found(Sheet(name, (), 0, 0)))
            notes.append(f"{name} is a chart of its own.")
        if found[-1].sheet.num_rows > limits.rows or found[-1].sheet.num_columns > limits.columns:
            notes.append(f"{name} is read up to row {limits.rows} and column {limits.columns}.")
    if len(names) > limits.sheets:
        notes.append(f"{len(names) - limits.sheets} further sheets are not read.")
    return found, names, notes


def _read_sheet(sheet: Any, stored: Any, limits: ReadingLimits) -> _Found:
    rows, formulas, highlighted, links = list[tuple[Value, ...]](), dict[str, str](), list[str](), list[Link]()
    num_rows, num_columns = sheet.max_row or 0, sheet.max_column or 0
    window = {"max_row": min(num_rows or limits.rows, limits.rows), "max_col": min(num_columns or 1, limits.columns)}
    for cells, values in zip(sheet.iter_rows(**window), stored.iter_rows(**window, values_only=True), strict=False):
        for cell in cells:
            formula = _formula_of(cell.value)
            if formula is not None:
                formulas[cell.coordinate] = formula
            if getattr(cell, "has_style", False) and _is_filled(cell):
                highlighted.append(cell.coordinate)
            location = getattr(getattr(cell, "hyperlink", None), "location", None)
            if location:
                links.append(Link(cell.coordinate, location, is_broken=False))
        rows.append(tuple(_plain(value) for value in values))
    rows = _trimmed(rows, formulas)
    read = Sheet(
        name=sheet.title,
        rows=tuple(rows),
        num_rows=max(len(rows), num_rows if num_rows > limits.rows else 0),
        num_columns=max(len(rows[0]) if rows else 0, num_columns if num_columns > limits.columns else 0),
        formulas=formulas,
        not_computed=tuple(place for place in formulas if value_at(rows, place) is None),
        merged=tuple(str(area) for area in getattr(getattr(sheet, "merged_cells", None), "ranges", ())),
        highlighted=tuple(highlighted),
        is_hidden=sheet.sheet_state != "visible",
    )
    return _Found(read, links)


def _formula_of(value: object) -> str | None:
    if isinstance(value, str) and value.startswith("=") and len(value) > 1:
        return value
    text = getattr(value, "text", None)  # an array formula
    return text if isinstance(text, str) and text.startswith("=") else None


def _is_filled(cell: Any) -> bool:
    fill = cell.fill
    if fill is None or fill.fill_type in (None, "none"):
        return False
    colour = fill.start_color
    return not (colour is not None and colour.type == "rgb" and str(colour.rgb).upper().endswith("FFFFFF"))


def _plain(value: object) -> Value:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        text = value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
        return text.removesuffix(" 00:00:00")
    return str(value)


def _trimmed(rows: list[tuple[Value, ...]], formulas: Iterable[str]) -> list[tuple[Value, ...]]:
    """Without the rows and columns at the end that have neither a value nor a formula, all rows of one length."""
    places = [position_of(place) for place in formulas]
    widths = [number for row in rows for number, value in enumerate(row, 1) if value is not None]
    heights = [number for number, row in enumerate(rows, 1) if any(value is not None for value in row)]
    width = max([0, *widths, *(column + 1 for _, column in places)])
    height = max([0, *heights, *(row + 1 for row, _ in places)])
    return [(row + (None,) * width)[:width] for row in rows[:height]]


def _links(found: _Found, names: Sequence[str]) -> list[Link]:
    """References to other worksheets, with whether those exist; names of sheets are not case sensitive."""
    known = {name.casefold() for name in names}
    where = found.sheet.name
    links = [
        Link(f"{where}!{link.where}", link.target, is_broken=_leads_nowhere(link.target, known)) for link in found.links
    ]
    for place, formula in found.sheet.formulas.items():
        links += [
            Link(f"{where}!{place}", target, target.casefold() not in known)
            for target in sheets_named_in(formula)
            if "[" not in target
        ]
        if _ERROR_REFERENCE in formula:
            links.append(Link(f"{where}!{place}", _ERROR_REFERENCE, is_broken=True))
    return links


def _leads_nowhere(location: str, known: set[str]) -> bool:
    named = sheets_named_in("=" + location)
    return bool(named) and named[0].casefold() not in known
