"""What two models handed in, file beside file, with the differences marked."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from understudy.comparing.page.documents import document_view, document_views
from understudy.comparing.page.table_diff import TableView, table_view, table_views
from understudy.comparing.page.text_diff import Line, mark, plain
from understudy.comparing.page.views import FilePair, FileView, Paragraph, Picture
from understudy.errors import UnderstudyError
from understudy.evaluation.deliverables import Deliverable, Image, read_deliverable

MAX_CHARACTERS = 60_000
"""Shown of each file's text."""

MAX_IMAGES, MAX_IMAGE_BYTES = 6, 1_500_000
"""Shown of each file."""

_SHOWN_IMAGES = {"image/png", "image/jpeg", "image/gif", "image/webp"}


@dataclass(frozen=True)
class _Read:
    """A file, and what came of reading it."""

    name: str
    found: Deliverable | None
    error: str = ""


def file_pairs(first: Sequence[str], second: Sequence[str], *, folders: tuple[Path, Path]) -> tuple[FilePair, ...]:
    """The files of two sides, matched by name, then by kind of file.

    Args:
        first, second: paths relative to their side's folder. folders: of both sides; nothing outside is read.
    """
    pairs = []
    for a, b in _matched(first, second):
        left, right = (_read(path, folder) for path, folder in zip((a, b), folders, strict=True))
        pairs.append(_pair(left, right))
    return tuple(pairs)


def _matched(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    left = list(second)
    alone = []
    for path in first:
        twin = next((other for other in left if PurePosixPath(other).name == PurePosixPath(path).name), None)
        if twin is None:
            alone.append(path)
            continue
        left.remove(twin)
        yield path, twin
    for path in alone:
        twin = next((other for other in left if PurePosixPath(other).suffix == PurePosixPath(path).suffix), None)
        if twin is not None:
            left.remove(twin)
        yield path, twin
    yield from ((None, other) for other in left)


def _read(path: str | None, folder: Path) -> _Read | None:
    if path is None:
        return None
    name = PurePosixPath(path).name
    try:
        return _Read(name, read_deliverable(folder / path, inside=folder))
    except UnderstudyError as error:
        return _Read(name, None, str(error))


def _pair(a: _Read | None, b: _Read | None) -> FilePair:
    if a is None or b is None or a.found is None or b.found is None or _form(a.found) != _form(b.found):
        return FilePair(_alone(a), _alone(b))
    one, other = a.found, b.found
    if _form(one) == "blocks":
        pieces = document_views(one, other)
        return FilePair(_view(one, paragraphs=pieces[0]), _view(other, paragraphs=pieces[1]))
    if _form(one) == "tables":
        tables = _workbooks(one, other)
        return FilePair(_view(one, tables=tables[0]), _view(other, tables=tables[1]))
    marked = mark(_cut(one.text), _cut(other.text))
    return FilePair(_view(one, lines=marked.a), _view(other, lines=marked.b))


def _form(found: Deliverable) -> str:
    if found.blocks:
        return "blocks"
    return "tables" if found.tables and found.kind in ("xlsx", "csv") else "text"


def _alone(read: _Read | None) -> FileView | None:
    if read is None:
        return None
    found = read.found
    if found is None:
        return FileView(read.name, PurePosixPath(read.name).suffix.lstrip("."), "", error=read.error)
    if _form(found) == "blocks":
        return _view(found, paragraphs=document_view(found))
    if _form(found) == "tables":
        return _view(found, tables=tuple(table_view(sheet) for sheet in found.tables))
    return _view(found, lines=plain(_cut(found.text)))


def _view(
    found: Deliverable,
    *,
    paragraphs: tuple[Paragraph, ...] = (),
    tables: tuple[TableView, ...] = (),
    lines: tuple[Line, ...] = (),
) -> FileView:
    return FileView(
        name=found.name,
        kind=found.kind,
        size=_size(found.num_bytes),
        notes=found.notes,
        paragraphs=paragraphs,
        tables=tables,
        lines=lines if found.kind != "image" else (),
        pictures=tuple(_picture(image) for image in found.images[:MAX_IMAGES]),
    )


def _workbooks(a: Deliverable, b: Deliverable) -> tuple[tuple[TableView, ...], tuple[TableView, ...]]:
    """Sheets matched by name, the rest in order."""
    left = {sheet.name: sheet for sheet in b.tables}
    twins = {sheet.name: left.pop(sheet.name) for sheet in a.tables if sheet.name in left}
    rest = iter(left.values())
    views_a, views_b = list[TableView](), dict[str, TableView]()
    for sheet in a.tables:
        twin = twins.get(sheet.name) or next(rest, None)
        one, other = (table_view(sheet), None) if twin is None else table_views(sheet, twin)
        views_a.append(one)
        if twin is not None and other is not None:
            views_b[twin.name] = other
    return tuple(views_a), tuple(views_b.get(sheet.name) or table_view(sheet) for sheet in b.tables)


def _picture(image: Image) -> Picture:
    caption = f"{image.name}, {image.width} × {image.height}, {_size(image.num_bytes)}"
    if not image.content or len(image.content) > MAX_IMAGE_BYTES or image.media_type not in _SHOWN_IMAGES:
        return Picture(image.name, "", f"{caption}: not shown")
    content = base64.b64encode(image.content).decode()
    return Picture(image.name, f"data:{image.media_type};base64,{content}", caption)


def _cut(text: str) -> str:
    left = len(text) - MAX_CHARACTERS
    return text if left <= 0 else f"{text[:MAX_CHARACTERS]}\n[{left:,} characters are not shown]"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1024:,.1f} KiB" if num_bytes >= 1024 else f"{num_bytes} bytes"
