"""What a handed-in file holds, in one form for graders, checks and the page that shows two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["xlsx", "docx", "pptx", "pdf", "csv", "md", "txt", "json", "image", "eml", "ics"]
Value = str | int | float | bool | None
"""Of a cell: dates and times are ISO text, None is empty."""

BlockKind = Literal["title", "heading", "paragraph", "item", "table", "slide", "page", "header", "footer", "note"]


@dataclass(frozen=True)
class Sheet:
    """A table: a worksheet, a table of a document or of a slide, or a file of comma-separated values.

    Args:
        name: of the worksheet; of another table, where it stands. rows: values, every row of the same length; rows and
            columns beyond the reader's bounds are left out. num_rows, num_columns: of the whole table.
        formulas: cell (``B7``) to its formula, with the equals sign. not_computed: cells of ``formulas`` without a
            value. merged: ranges (``A1:C1``). highlighted: cells with a fill. is_hidden: Excel does not show it.
    """

    name: str
    rows: tuple[tuple[Value, ...], ...]
    num_rows: int
    num_columns: int
    formulas: Mapping[str, str] = field(default_factory=dict)
    not_computed: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    highlighted: tuple[str, ...] = ()
    is_hidden: bool = False


@dataclass(frozen=True)
class Block:
    """One piece of a document, in reading order.

    Args:
        kind: what it is; ``slide`` and ``page`` begin one. text: of a table, nothing. level: of a heading or item,
            from 1. table: index in ``Deliverable.tables``. highlighted: its marked words.
    """

    kind: BlockKind
    text: str
    level: int = 0
    table: int | None = None
    highlighted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """A picture: a file of its own, or one inside a document.

    Args:
        media_type: such as ``image/png``. width, height: pixels, 0 where the header does not say.
        content: the file's bytes; empty where they exceed the reader's bound. num_bytes: of the file.
    """

    name: str
    media_type: str
    width: int
    height: int
    num_bytes: int
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class Link:
    """A reference from one place of a file to another: to a bookmark, a heading, or a worksheet.

    Args:
        where: the cell or the words that refer. target: what they name. is_broken: it is not there.
    """

    where: str
    target: str
    is_broken: bool


@dataclass(frozen=True)
class Deliverable:
    """One file as its reader found it.

    Args:
        name: of the file. kind: by its content. num_bytes: of the file. text: all of it in reading order, tables as
            lines of ``a | b``. tables: every table. blocks: the pieces of documents, slides and pages; empty for
            others. images: pictures, in order. links: references within the file. num_pages: pages, slides or
            sheets; None where the form has none. num_charts: drawn from data. notes: what the reader had to leave out,
            a sentence each.
    """

    name: str
    kind: Kind
    num_bytes: int
    text: str
    tables: tuple[Sheet, ...] = ()
    blocks: tuple[Block, ...] = ()
    images: tuple[Image, ...] = ()
    links: tuple[Link, ...] = ()
    num_pages: int | None = None
    num_charts: int = 0
    notes: tuple[str, ...] = ()


def shown(value: Value) -> str:
    """A cell's value as text.

    >>> shown(None), shown(True), shown(0.1 + 0.2), shown(1200.0)
    ('', 'TRUE', '0.3', '1200')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def table_text(sheet: Sheet) -> str:
    """The rows as lines of ``a | b``; line breaks within a cell become spaces, empty rows are left out."""
    lines = (" | ".join(" ".join(shown(value).split()) for value in row).rstrip(" |") for row in sheet.rows)
    return "\n".join(line for line in lines if line)


def blocks_text(blocks: tuple[Block, ...], tables: tuple[Sheet, ...]) -> str:
    """A document in reading order: headings with ``#``, items with ``-``, pages and slides with a line of their own."""
    return "\n".join(_block_text(block, tables) for block in blocks)


def _block_text(block: Block, tables: tuple[Sheet, ...]) -> str:
    if block.table is not None:
        return table_text(tables[block.table])
    marks = {
        "title": "# ",
        "heading": "#" * max(1, block.level) + " ",
        "item": "  " * max(0, block.level - 1) + "- ",
        "header": "[header] ",
        "footer": "[footer] ",
        "note": "[note] ",
    }
    if block.kind in ("slide", "page"):
        return f"--- {block.text} ---"
    return marks.get(block.kind, "") + block.text
