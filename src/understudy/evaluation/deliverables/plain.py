"""Files of text: CSV, Markdown, JSON and anything plain."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Block, Deliverable, Link, Sheet, Value, table_text
from understudy.evaluation.deliverables.limits import ReadingLimits

_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_ITEM = re.compile(r"(\s*)(?:[-*+]|\d+[.)])\s+(.*)")
_LINK = re.compile(r"\[([^\]\[]{0,300})\]\(#([^)\s]{1,300})\)")
_FENCE = re.compile(r"\s*(```|~~~)")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_CONTROLS = 0.05


def decoded(content: bytes, *, name: str) -> str:
    """The text, by its byte order mark, else as UTF-8, else as Windows' Latin script.

    Raises:
        DeliverableError: it is no text: NUL bytes, or more than one in twenty characters are controls.
    """
    marks = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
    encoding = next((coding for mark, coding in marks.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    controls = sum(ord(character) < 32 and character not in "\t\n\r\f" for character in text)
    if "\0" in text or controls > _CONTROLS * len(text):
        raise DeliverableError(f"{name} is corrupt", got="bytes that are no text")
    if not text.strip():
        raise DeliverableError(f"{name} is empty", got="white space only")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(content: bytes, *, name: str) -> Deliverable:
    """A plain file: a paragraph where an empty line separates."""
    text = decoded(content, name=name)
    blocks = tuple(Block("paragraph", part.strip()) for part in re.split(r"\n\s*\n", text) if part.strip())
    return Deliverable(name, "txt", len(content), text, blocks=blocks)


def read_json(content: bytes, *, name: str) -> Deliverable:
    """A JSON file, its text as written.

    Raises:
        DeliverableError: it is no JSON, or nested too deeply.
    """
    text = decoded(content, name=name)
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DeliverableError(f"{name} is corrupt", got=f"no JSON: {error}") from error
    return Deliverable(name, "json", len(content), text)


def read_csv(content: bytes, *, name: str, limits: ReadingLimits) -> Deliverable:
    """Comma-, semicolon- or tab-separated values; cells that are numbers become numbers."""
    text = decoded(content, name=name)
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        all_rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise DeliverableError(f"{name} is corrupt", got=f"no CSV: {error}") from error
    width = max((len(row) for row in all_rows), default=0)
    kept = [[_number(cell) for cell in row[: limits.columns]] for row in all_rows[: limits.rows]]
    columns = min(width, limits.columns)
    sheet = Sheet(name, tuple(tuple(row) + (None,) * (columns - len(row)) for row in kept), len(all_rows), width)
    ragged = sum(len(row) not in (0, width) for row in all_rows)
    notes = [f"{ragged} rows have fewer cells than the widest."] if ragged else []
    if len(all_rows) > limits.rows or width > limits.columns:
        notes.append(f"It is read up to row {limits.rows} and column {limits.columns}.")
    return Deliverable(name, "csv", len(content), table_text(sheet), (sheet,), notes=tuple(notes))


def read_markdown(content: bytes, *, name: str) -> Deliverable:
    """Headings, items, tables and paragraphs; links to headings that are not there are broken."""
    text = decoded(content, name=name)
    tables = list[Sheet]()
    blocks = tuple(_markdown_blocks(text.split("\n"), tables))
    anchors = {_anchor(block.text) for block in blocks if block.kind == "heading"}
    links = tuple(Link(words, target, target.lower() not in anchors) for words, target in _LINK.findall(text))
    return Deliverable(name, "md", len(content), text, tuple(tables), blocks, links=links)


def _number(cell: str) -> Value:
    stripped = cell.strip()
    if not stripped:
        return None
    if not _NUMBER.fullmatch(stripped) or (len(stripped) > 1 and stripped[0] == "0" and stripped.isdigit()):
        return stripped  # a leading zero is a code, not a number
    return int(stripped) if stripped.lstrip("+-").isdigit() and len(stripped) < 16 else float(stripped)


def _markdown_blocks(lines: list[str], tables: list[Sheet]) -> Iterator[Block]:
    paragraph, at = list[str](), 0
    while at < len(lines):
        line = lines[at]
        after = lines[at + 1] if at + 1 < len(lines) else ""
        begins = "|" in line and "|" in after and _is_rule(after)
        heading, item, fence = _HEADING.match(line), _ITEM.fullmatch(line), _FENCE.match(line)
        if paragraph and (begins or heading or item or fence or not line.strip()):
            yield Block("paragraph", "\n".join(paragraph))
            paragraph = []
        end = at + 1
        if fence:
            end = next((n for n in range(at + 1, len(lines)) if _FENCE.match(lines[n])), len(lines) - 1) + 1
            yield Block("paragraph", "\n".join(lines[at:end]))
        elif begins:
            end = next((n for n in range(at + 2, len(lines)) if "|" not in lines[n]), len(lines))
            yield Block("table", "", table=len(tables))
            tables.append(_markdown_table([line, *lines[at + 2 : end]], f"Table {len(tables) + 1}"))
        elif heading:
            yield Block("heading", heading.group(2).strip().rstrip("#").rstrip(), len(heading.group(1)))
        elif item:
            yield Block("item", item.group(2), 1 + len(item.group(1)) // 2)
        elif line.strip():
            paragraph.append(line.strip())
        at = end
    if paragraph:
        yield Block("paragraph", "\n".join(paragraph))


def _is_rule(line: str) -> bool:
    """The line below the heads of a table."""
    return "-" in line and not line.strip(" \t:|-")


def _markdown_table(lines: list[str], name: str) -> Sheet:
    rows = [
        [_number(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for line in lines
    ]
    width = max(len(row) for row in rows)
    return Sheet(name, tuple(tuple(row) + (None,) * (width - len(row)) for row in rows), len(rows), width)


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
