"""Two documents beside each other: pieces matched in reading order, words marked within those that changed."""

from __future__ import annotations

from collections.abc import Hashable

from understudy.comparing.page.table_diff import table_view, table_views
from understudy.comparing.page.text_diff import Line, Patience, Piece, mark, matches, words
from understudy.comparing.page.views import Paragraph
from understudy.evaluation.deliverables import Block, Deliverable

MAX_BLOCKS = 800
"""Shown of each document."""


def document_view(found: Deliverable) -> tuple[Paragraph, ...]:
    """A document without a counterpart."""
    return (*(_paragraph(block, found) for block in found.blocks[:MAX_BLOCKS]), *_rest(found))


def document_views(a: Deliverable, b: Deliverable) -> tuple[tuple[Paragraph, ...], tuple[Paragraph, ...]]:
    """Two documents with their differences marked."""
    left, right, patience = list[Paragraph](), list[Paragraph](), Patience()
    first, second = a.blocks[:MAX_BLOCKS], b.blocks[:MAX_BLOCKS]
    for match in matches([_key(block, a) for block in first], [_key(block, b) for block in second]):
        for place in range(max(len(match.a), len(match.b))):
            one = first[match.a[place]] if place < len(match.a) else None
            other = second[match.b[place]] if place < len(match.b) else None
            marked = _paragraphs(one, other, (a, b), patience, same=match.same)
            left += [marked[0]] if marked[0] is not None else []
            right += [marked[1]] if marked[1] is not None else []
    return (*left, *_rest(a)), (*right, *_rest(b))


def _paragraphs(
    one: Block | None, other: Block | None, sides: tuple[Deliverable, Deliverable], patience: Patience, *, same: bool
) -> tuple[Paragraph | None, Paragraph | None]:
    a, b = sides
    if one is not None and other is not None:
        if one.table is not None and other.table is not None:
            tables = table_views(a.tables[one.table], b.tables[other.table])
            return Paragraph(one.kind, 0, (), tables[0]), Paragraph(other.kind, 0, (), tables[1])
        if one.table is None and other.table is None:
            lines = _marked(one.text, other.text, patience)
            return Paragraph(one.kind, one.level, lines[0]), Paragraph(other.kind, other.level, lines[1])
    return (
        None if one is None else _paragraph(one, a, changed=not same),
        None if other is None else _paragraph(other, b, changed=not same),
    )


def _marked(first: str, second: str, patience: Patience) -> tuple[Line, Line]:
    """A whole page of a PDF is one piece of many lines."""
    if "\n" not in first and "\n" not in second:
        return words(first, second, patience)
    marked = mark(first, second)
    return _joined(marked.a), _joined(marked.b)


def _joined(lines: tuple[Line, ...]) -> Line:
    return tuple(piece for line in lines for piece in (*line, Piece("\n")))


def _paragraph(block: Block, found: Deliverable, *, changed: bool = False) -> Paragraph:
    if block.table is not None:
        return Paragraph(block.kind, 0, (), table_view(found.tables[block.table]))
    return Paragraph(block.kind, block.level, (Piece(block.text, changed),))


def _key(block: Block, found: Deliverable) -> Hashable:
    return block.kind, block.text, None if block.table is None else found.tables[block.table].rows


def _rest(found: Deliverable) -> tuple[Paragraph, ...]:
    left = len(found.blocks) - MAX_BLOCKS
    return (Paragraph("note", 0, (Piece(f"{left:,} further pieces are not shown"),)),) if left > 0 else ()
