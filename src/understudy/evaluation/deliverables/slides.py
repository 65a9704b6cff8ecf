"""Presentations: the text, tables and notes of each slide."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Any

from understudy.evaluation.deliverables.archives import opened_archive, pictures_within
from understudy.evaluation.deliverables.deliverable import Block, Deliverable, Sheet, blocks_text
from understudy.evaluation.deliverables.limits import ReadingLimits

_GROUP = 6
_DEPTH = 8


def read_slides(content: bytes, *, name: str, limits: ReadingLimits) -> Deliverable:
    """A ``.pptx`` file, slide by slide; pictures are listed for the whole file.

    Raises:
        DeliverableError: see ``archives.opened_archive``.
    """
    import pptx

    with opened_archive(content, name=name, must_hold="ppt/presentation.xml", limits=limits) as archive:
        images = pictures_within(archive, "ppt/media/", limits)
        num_charts = sum(bool(re.fullmatch(r"ppt/charts/chart\d*\.xml", member)) for member in archive.namelist())
    slides = list(pptx.Presentation(io.BytesIO(content)).slides)
    blocks, tables = list[Block](), list[Sheet]()
    for number, slide in enumerate(slides[: limits.pages], 1):
        blocks.append(Block("slide", f"Slide {number}", number))
        _read_slide(slide, number=number, blocks=blocks, tables=tables, limits=limits)
    notes = (f"{len(slides) - limits.pages} further slides are not read.",) if len(slides) > limits.pages else ()
    text = blocks_text(tuple(blocks), tuple(tables))
    pieces = (tuple(tables), tuple(blocks), images)
    return Deliverable(name, "pptx", len(content), text, *pieces, (), len(slides), num_charts, notes)


def _read_slide(slide: Any, *, number: int, blocks: list[Block], tables: list[Sheet], limits: ReadingLimits) -> None:
    title = slide.shapes.title
    for shape in _shapes(slide.shapes):
        if getattr(shape, "has_table", False) and shape.has_table:
            blocks.append(Block("table", "", table=len(tables)))
            tables.append(_table(shape.table, f"Slide {number}", limits))
        elif shape.has_text_frame:
            is_title = title is not None and shape.shape_id == title.shape_id
            for paragraph in shape.text_frame.paragraphs:
                if text := paragraph.text.replace("\v", "\n").strip():
                    blocks.append(Block("heading", text, 2) if is_title else Block("item", text, paragraph.level + 1))
    frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    if frame is not None and (text := frame.text.strip()):
        blocks.append(Block("note", text))


def _shapes(shapes: Iterable[Any], depth: int = 0) -> Iterator[Any]:
    """Shapes in order, those of groups in their place."""
    for shape in shapes:
        if shape.shape_type == _GROUP and depth < _DEPTH:
            yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _table(table: Any, name: str, limits: ReadingLimits) -> Sheet:
    rows = [[cell.text.strip() or None for cell in row.cells] for row in table.rows]
    width = len(rows[0]) if rows else 0
    return Sheet(name, tuple(tuple(row[: limits.columns]) for row in rows[: limits.rows]), len(rows), width)
