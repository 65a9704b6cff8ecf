"""Files as the page shows them: pieces of text, tables and pictures, differences marked."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.comparing.page.table_diff import TableView
from understudy.comparing.page.text_diff import Line


@dataclass(frozen=True)
class Paragraph:
    """A piece of a document: its kind as in ``Block``, its words, or its table."""

    kind: str
    level: int
    line: Line
    table: TableView | None = None


@dataclass(frozen=True)
class Picture:
    """An image of the page's own; ``source`` is empty where it is too large to show."""

    name: str
    source: str
    caption: str


@dataclass(frozen=True)
class FileView:
    """One file as it is shown: what its reader found, or why it could not be read."""

    name: str
    kind: str
    size: str
    notes: tuple[str, ...] = ()
    error: str = ""
    paragraphs: tuple[Paragraph, ...] = ()
    tables: tuple[TableView, ...] = ()
    lines: tuple[Line, ...] = ()
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class FilePair:
    """A file of each side; None where that side has no counterpart."""

    a: FileView | None
    b: FileView | None
