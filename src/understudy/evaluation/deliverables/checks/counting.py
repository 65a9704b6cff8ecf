"""Counts of one file; every one is a number that adds up over files and tasks."""

from __future__ import annotations

from collections.abc import Iterator

from understudy.evaluation.deliverables.cells import value_at
from understudy.evaluation.deliverables.checks.marks import DATE, PLACEHOLDER, READS_CELLS, SIGNATURE
from understudy.evaluation.deliverables.deliverable import Deliverable, Sheet
from understudy.evaluation.deliverables.formulas.values import ERRORS

_LONGEST_FORMULA = 8192
_PARTED = ("docx", "md", "pptx", "txt", "pdf")


def counts_of(read: Deliverable) -> dict[str, float]:
    """The counts of a file.

    ``pieces``: paragraphs, items, headings, cells with text, or lines. ``pieces_with_placeholder``: of these.
    ``live_formulas``: formulas that read a cell. ``hard_coded_numbers``: numbers in cells of a workbook that no live
    formula gives. ``formulas_not_computed``, ``error_cells``: cells of a workbook. ``links``, ``broken_links``:
    references within the file. ``tables``, ``filled_rows``: rows with a value. ``words``, ``sections``,
    ``empty_sections``: of documents; a section is a heading with what follows it, or a slide. ``highlights``: marked
    words and filled cells. ``dates``, ``signature_blocks``: in the text. ``charts``, ``pictures``, ``pages``: as the
    file has them.
    """
    pieces = [piece for piece in _pieces(read) if piece.strip()]
    formulas = (
        {(s.name, place): f for s in read.tables for place, f in s.formulas.items()} if read.kind == "xlsx" else {}
    )
    live = sum(bool(READS_CELLS.search(formula[:_LONGEST_FORMULA])) for formula in formulas.values())
    return {
        "files": 1,
        "pieces": len(pieces),
        "pieces_with_placeholder": sum(bool(PLACEHOLDER.search(piece)) for piece in pieces),
        "live_formulas": live,
        "hard_coded_numbers": sum(map(_numbers, read.tables)) + len(formulas) - live if read.kind == "xlsx" else 0,
        "formulas_not_computed": sum(len(sheet.not_computed) for sheet in read.tables),
        "error_cells": sum(
            value in ERRORS for s in read.tables for row in s.rows for value in row if isinstance(value, str)
        ),
        "links": len(read.links),
        "broken_links": sum(link.is_broken for link in read.links),
        "tables": sum(sheet.num_rows > 0 for sheet in read.tables),
        "filled_rows": sum(
            any(value not in (None, "") for value in row) for sheet in read.tables for row in sheet.rows
        ),
        **_sections(read),
        "highlights": sum(len(s.highlighted) for s in read.tables)
        + sum(len(block.highlighted) for block in read.blocks),
        "dates": len(DATE.findall(read.text)),
        "signature_blocks": len(SIGNATURE.findall(read.text)),
        "charts": read.num_charts,
        "pictures": len(read.images),
        "pages": read.num_pages or 0,
    }


def _pieces(read: Deliverable) -> Iterator[str]:
    """What is looked at for placeholders, each piece by itself: the share says how much of the work is unfinished."""
    if not read.blocks and not read.tables:
        yield from read.text.splitlines()
    for block in read.blocks:
        if block.table is None and block.kind not in ("page", "slide"):
            yield from block.text.splitlines()
    for sheet in read.tables:
        yield from (value for row in sheet.rows for value in row if isinstance(value, str) and value not in ERRORS)


def _numbers(sheet: Sheet) -> int:
    """Cells with a number that no formula gives."""
    cells = sum(_is_number(value) for row in sheet.rows for value in row)
    return cells - sum(_is_number(value_at(sheet.rows, place)) for place in sheet.formulas)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sections(read: Deliverable) -> dict[str, float]:
    """Headings begin a section, or slides where there are slides; words before the first are a section of their own.

    A heading that only holds deeper headings is no section.
    """
    if read.kind not in _PARTED:
        return {"words": 0, "sections": 0, "empty_sections": 0}
    begins = "slide" if read.kind == "pptx" else "heading"
    lengths, level, words = list[int](), 0, 0
    for block in read.blocks:
        if block.kind == begins:
            holds_deeper = words == 0 and block.level > level and begins == "heading"
            if (level or words) and not holds_deeper:
                lengths.append(words)
            level, words = max(1, block.level), 0
        elif block.kind not in ("page", "heading", "header", "footer"):
            words += _words(read, block.text, block.table)
    if level or words:
        lengths.append(words)
    return {"words": sum(lengths), "sections": len(lengths), "empty_sections": lengths.count(0)}


def _words(read: Deliverable, text: str, table: int | None) -> int:
    if table is None:
        return len(text.split())
    return sum(len(str(value).split()) for row in read.tables[table].rows for value in row if value is not None)
