"""Two texts with what differs marked: lines matched first, words within lines that changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

ALIKE = 0.35
"""Two lines with less in common than this are two lines, not one that changed."""

MAX_LINES = 1500
"""Longer texts are shown unmarked: matching them would take longer than reading them."""

_MAX_WORDS = 600
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """A stretch of text; ``changed`` where the other side has something else."""

    text: str
    changed: bool = False


Line = tuple[Piece, ...]


@dataclass(frozen=True)
class Marked:
    """Two texts as lines of pieces, and whether they were compared."""

    a: tuple[Line, ...]
    b: tuple[Line, ...]
    compared: bool


@dataclass(frozen=True)
class Match:
    """Items ``a`` of one list that stand where items ``b`` of the other do; ``same`` where they are equal."""

    a: range
    b: range
    same: bool


def mark(first: str, second: str) -> Marked:
    """The two texts with their differences marked.

    >>> marked = mark("one two\\nthree", "one too\\nthree")
    >>> [(piece.text, piece.changed) for piece in marked.a[0]]
    [('one ', False), ('two', True)]
    """
    a, b = first.splitlines(), second.splitlines()
    if max(len(a), len(b)) > MAX_LINES:
        return Marked(plain(first), plain(second), compared=False)
    marked_a, marked_b = list[Line](), list[Line]()
    for match in matches(a, b):
        for left, right in paired_up(a, b, match):
            one, other = words(left or "", right or "") if left is not None and right is not None else (None, None)
            if left is not None:
                marked_a.append(one if one is not None else (Piece(left, not match.same),))
            if right is not None:
                marked_b.append(other if other is not None else (Piece(right, not match.same),))
    return Marked(tuple(marked_a), tuple(marked_b), compared=True)


def plain(text: str) -> tuple[Line, ...]:
    """The lines of a text, nothing marked."""
    return tuple((Piece(line),) for line in text.splitlines())


def matches(first: Sequence[object], second: Sequence[object]) -> Iterator[Match]:
    """Stretches of two lists, in order, that together cover both."""
    for kind, a, a_end, b, b_end in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        yield Match(range(a, a_end), range(b, b_end), kind == "equal")


def paired_up(first: Sequence[str], second: Sequence[str], match: Match) -> Iterator[tuple[str | None, str | None]]:
    """The items of a stretch that replace each other, in order; None where one side has no more."""
    for place in range(max(len(match.a), len(match.b))):
        yield (
            first[match.a[place]] if place < len(match.a) else None,
            second[match.b[place]] if place < len(match.b) else None,
        )


def words(first: str, second: str) -> tuple[Line, Line]:
    """Two lines with the words marked in which they differ; all of them where they have too little in common."""
    if first == second:
        return (Piece(first),), (Piece(second),)
    a, b = _WORD.findall(first), _WORD.findall(second)
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if max(len(a), len(b)) > _MAX_WORDS or matcher.ratio() < ALIKE:
        return (Piece(first, True),), (Piece(second, True),)
    left, right = list[Piece](), list[Piece]()
    for kind, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        changed = kind != "equal"
        left += [Piece("".join(a[a_start:a_end]), changed)] if a_end > a_start else []
        right += [Piece("".join(b[b_start:b_end]), changed)] if b_end > b_start else []
    return tuple(left), tuple(right)
