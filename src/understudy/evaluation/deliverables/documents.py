"""Word documents, read from their XML: headings, paragraphs, tables, marked words, bookmarks and references."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.archives import opened_archive, parsed, pictures_within
from understudy.evaluation.deliverables.deliverable import Block, BlockKind, Deliverable, Link, Sheet, blocks_text
from understudy.evaluation.deliverables.limits import ReadingLimits

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING = re.compile(r"heading\s*(\d)", re.IGNORECASE)
_REFERS = re.compile(r"^\s*(?:REF|PAGEREF|NOTEREF)\s+(\S+)")
_BROKEN_TEXT = "Error! Reference source not found"
_WITHOUT_SHADE = {"auto", "FFFFFF", None}


@dataclass
class _Reading:
    """A document being read; tables within tables count as tables of their own, after the one that holds them."""

    styles: dict[str, str]
    limits: ReadingLimits
    blocks: list[Block] = field(default_factory=list)
    tables: list[Sheet] = field(default_factory=list)


def read_document(content: bytes, *, name: str, limits: ReadingLimits) -> Deliverable:
    """A ``.docx`` file: body in order, then headers, footers and notes; inserted text counts, deleted does not.

    Raises:
        DeliverableError: see ``archives.opened_archive``; or the document has no body.
    """
    with opened_archive(content, name=name, must_hold="word/document.xml", limits=limits) as archive:
        root, styles = parsed(archive, "word/document.xml"), parsed(archive, "word/styles.xml")
        body = None if root is None else root.find(f"{_W}body")
        if root is None or body is None:
            raise DeliverableError(f"{name} is corrupt", got="a document without a body")
        reading = _Reading(_style_names(styles), limits)
        _read_pieces(body, reading)
        for member in sorted(archive.namelist()):
            if match := re.fullmatch(r"word/(header|footer|footnote|endnote)s?\d*\.xml", member):
                _read_margin(parsed(archive, member), match.group(1), reading)
        images = pictures_within(archive, "word/media/", limits)
        num_charts = sum(bool(re.fullmatch(r"word/charts/chart\d*\.xml", member)) for member in archive.namelist())
    blocks, tables = tuple(reading.blocks), tuple(reading.tables)
    text = blocks_text(blocks, tables)
    links = tuple(_links(root, text))
    return Deliverable(name, "docx", len(content), text, tables, blocks, images, links, None, num_charts)


def _style_names(styles: Element | None) -> dict[str, str]:
    found = {}
    for style in [] if styles is None else styles.iter(f"{_W}style"):
        named = style.find(f"{_W}name")
        found[style.get(f"{_W}styleId", "")] = "" if named is None else named.get(f"{_W}val", "")
    return found


def _pieces(parent: Element) -> Iterator[Element]:
    """Paragraphs and tables in order, also those within content controls and tracked insertions."""
    for child in parent:
        if child.tag in (f"{_W}p", f"{_W}tbl"):
            yield child
        elif child.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml"):
            yield from _pieces(child)


def _read_pieces(parent: Element, reading: _Reading) -> None:
    for piece in _pieces(parent):
        if piece.tag == f"{_W}tbl":
            _read_table(piece, reading)
        else:
            block = _paragraph(piece, reading.styles)
            if block.text:
                reading.blocks.append(block)


def _read_margin(root: Element | None, kind: str, reading: _Reading) -> None:
    said: BlockKind = "header" if kind == "header" else "footer" if kind == "footer" else "note"
    for paragraph in [] if root is None else root.iter(f"{_W}p"):
        if text := _text(paragraph):
            reading.blocks.append(Block(said, text))


def _paragraph(paragraph: Element, styles: dict[str, str]) -> Block:
    about = paragraph.find(f"{_W}pPr")
    style = None if about is None else about.find(f"{_W}pStyle")
    style_name = "" if style is None else styles.get(style.get(f"{_W}val", ""), style.get(f"{_W}val", ""))
    text, marked = _text(paragraph), tuple(_marked(paragraph))
    if heading := _HEADING.match(style_name):
        return Block("heading", text, int(heading.group(1)), highlighted=marked)
    if style_name.lower() == "title":
        return Block("title", text, highlighted=marked)
    numbering = None if about is None else about.find(f"{_W}numPr")
    if numbering is not None or style_name.lower().startswith("list"):
        level = None if numbering is None else numbering.find(f"{_W}ilvl")
        return Block("item", text, 1 + int((level is not None and level.get(f"{_W}val")) or 0), highlighted=marked)
    return Block("paragraph", text, highlighted=marked)


def _text(element: Element) -> str:
    parts = {f"{_W}tab": "\t", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-"}
    found = []
    for one in _shown(element):
        found.append((one.text or "") if one.tag == f"{_W}t" else parts.get(one.tag, ""))
    return "".join(found).strip()


def _shown(element: Element) -> Iterator[Element]:
    """What of a paragraph is read: not tab stops, nor the second form of a text box, for old programs."""
    for child in element:
        if child.tag not in (f"{_W}pPr", f"{_W}rPr", f"{_W}del") and not child.tag.endswith("}Fallback"):
            yield child
            yield from _shown(child)


def _marked(paragraph: Element) -> Iterator[str]:
    for run in paragraph.iter(f"{_W}r"):
        about = run.find(f"{_W}rPr")
        if about is None:
            continue
        pen, shade = about.find(f"{_W}highlight"), about.find(f"{_W}shd")
        is_marked = pen is not None and pen.get(f"{_W}val") != "none"
        is_shaded = shade is not None and shade.get(f"{_W}fill") not in _WITHOUT_SHADE
        if (is_marked or is_shaded) and (text := _text(run)):
            yield text


def _read_table(table: Element, reading: _Reading) -> None:
    index = len(reading.tables)
    all_rows = [row for row in table if row.tag == f"{_W}tr"]
    rows = [
        [_cell_text(cell) for cell in _cells(row)][: reading.limits.columns] for row in all_rows[: reading.limits.rows]
    ]
    width = max((len(row) for row in rows), default=0)
    full = tuple(tuple(row) + (None,) * (width - len(row)) for row in rows)
    marked = tuple(text for paragraph in table.iter(f"{_W}p") for text in _marked(paragraph))
    reading.tables.append(Sheet(f"Table {index + 1}", full, len(all_rows), width))
    reading.blocks.append(Block("table", "", table=index, highlighted=marked))
    for cell in (cell for row in all_rows for cell in _cells(row)):
        for inner in _pieces(cell):
            if inner.tag == f"{_W}tbl":
                _read_table(inner, reading)


def _cells(row: Element) -> Iterator[Element]:
    for child in row:
        if child.tag == f"{_W}tc":
            yield child
        elif child.tag in (f"{_W}sdt", f"{_W}sdtContent"):
            yield from _cells(child)


def _cell_text(cell: Element) -> str | None:
    return "\n".join(filter(None, (_text(piece) for piece in _pieces(cell) if piece.tag == f"{_W}p"))) or None


def _links(root: Element, text: str) -> Iterator[Link]:
    """Hyperlinks and fields that name a bookmark, with whether it is there; and what Word itself found broken."""
    bookmarks = {mark.get(f"{_W}name") for mark in root.iter(f"{_W}bookmarkStart")} | {"_top"}
    for link in root.iter(f"{_W}hyperlink"):
        if target := link.get(f"{_W}anchor"):
            yield Link(_text(link), target, target not in bookmarks)
    instructions = [field.get(f"{_W}instr", "") for field in root.iter(f"{_W}fldSimple")]
    instructions += ["".join(part.text or "" for part in p.iter(f"{_W}instrText")) for p in root.iter(f"{_W}p")]
    for instruction in instructions:
        if match := _REFERS.match(instruction):
            yield Link(instruction.strip(), match.group(1), match.group(1) not in bookmarks)
    for _ in range(text.count(_BROKEN_TEXT)):
        yield Link(_BROKEN_TEXT, "", is_broken=True)
