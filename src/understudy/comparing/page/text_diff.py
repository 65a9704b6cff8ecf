"""Two texts with what differs marked: lines matched first, words within lines that changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

ALIKE = 0.35
"""Two lines with less in common than this are two lines, not one that changed."""

MAX_LINES = 1500
"""Longer texts are shown unmarked: matching them would take longer than reading them."""

_MAX_PAIRS = 50_000
"""Matching takes time with the number of equal pairs: a model that repeats itself is compared place by place."""

_PATIENCE, _MAX_PAIRS_OF_LINE = 300_000, 20_000
_WORD = re.compile(r"\w+\s*|[^\w\s]\s*|\s+")


@dataclass
class Patience:
    """Equal pairs of words that may still be looked at, for all lines of a text together."""

    left: int = _PATIENCE

    def allows(self, first: Sequence[str], second: Sequence[str]) -> bool:
        """Whether two more lines may be compared word by word; takes what that costs."""
        pairs = num_equal_pairs(first, second)
        allowed = pairs <= min(_MAX_PAIRS_OF_LINE, self.left)
        self.left -= pairs if allowed else 0
        return allowed


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
    marked_a, marked_b, patience = list[Line](), list[Line](), Patience()
    for match in matches(a, b):
        for left, right in paired_up(a, b, match):
            if left is not None and right is not None:
                one, other = words(left, right, patience)
                marked_a.append(one)
                marked_b.append(other)
            elif left is not None:
                marked_a.append((Piece(left, True),))
            elif right is not None:
                marked_b.append((Piece(right, True),))
    return Marked(tuple(marked_a), tuple(marked_b), compared=True)


def plain(text: str) -> tuple[Line, ...]:
    """The lines of a text, nothing marked."""
    return tuple((Piece(line),) for line in text.splitlines())


def matches(first: Sequence[Hashable], second: Sequence[Hashable]) -> Iterator[Match]:
    """Stretches of two lists, in order, that together cover both."""
    shorter = min(len(first), len(second))
    start = next((place for place in range(shorter) if first[place] != second[place]), shorter)
    end = next((place for place in range(shorter - start) if first[-1 - place] != second[-1 - place]), shorter - start)
    if start:
        yield Match(range(start), range(start), same=True)
    yield from _between(first, second, start, end)
    if end:
        a, b = len(first), len(second)
        yield Match(range(a - end, a), range(b - end, b), same=True)


def _between(first: Sequence[Hashable], second: Sequence[Hashable], start: int, end: int) -> Iterator[Match]:
    """Without the equal beginning and end; as one stretch where there are too many equal pairs."""
    a, b = first[start : len(first) - end], second[start : len(second) - end]
    if num_equal_pairs(a, b) > _MAX_PAIRS:
        yield Match(range(start, start + len(a)), range(start, start + len(b)), same=False)
        return
    for kind, one, one_end, other, other_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        places = range(start + one, start + one_end), range(start + other, start + other_end)
        yield Match(*places, same=kind == "equal")


def num_equal_pairs(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """How many pairs of an item of each list are equal.

    >>> num_equal_pairs("aab", "abb")
    4
    """
    counts = Counter(second)
    return sum(number * counts[item] for item, number in Counter(first).items())


def paired_up(first: Sequence[str], second: Sequence[str], match: Match) -> Iterator[tuple[str | None, str | None]]:
    """The items of a stretch that replace each other, in order; None where one side has no more."""
    for place in range(max(len(match.a), len(match.b))):
        yield (
            first[match.a[place]] if place < len(match.a) else None,
            second[match.b[place]] if place < len(match.b) else None,
        )


def words(first: str, second: str, patience: Patience | None = None) -> tuple[Line, Line]:
    """Two lines with the words marked in which they differ; all of them where they have too little in common."""
    if first == second:
        return (Piece(first),), (Piece(second),)
    a, b = _WORD.findall(first), _WORD.findall(second)
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    if not (patience or Patience()).allows(a, b) or matcher.ratio() < ALIKE:
        return (Piece(first, True),), (Piece(second, True),)
    left, right = list[Piece](), list[Piece]()
    for kind, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        left += _pieces("".join(a[a_start:a_end]), changed=kind != "equal")
        right += _pieces("".join(b[b_start:b_end]), changed=kind != "equal")
    return tuple(left), tuple(right)


def _pieces(text: str, *, changed: bool) -> list[Piece]:
    """The blanks after a changed word are not part of it."""
    ink = text.rstrip() if changed else text
    return [piece for piece in (Piece(ink, changed), Piece(text[len(ink) :])) if piece.text]
