"""Two tokenisations of one text: between which of the teacher's tokens, or within which, each of the student's ends.

A teacher gives the log-probability of a text up to each boundary of its tokens. That of a student's token is the
difference between its end and its beginning, so that over a stretch which both tokenisations share the student's tokens
have together exactly the log-probability of the teacher's. What a boundary inside a teacher's token is worth, the
scorer decides (``prefixes``).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from understudy.models.byte_offsets import Tiling


@dataclass(frozen=True)
class Point:
    """A place in the teacher's text.

    Args:
        token: the teacher's token that begins or goes on there. inside: how many of its bytes stand before.
        share: of its log-probability that is taken to be before, where nothing better is known: k of m when m of the
            student's tokens overlap it and k of them end here or earlier.
    """

    token: int
    inside: int = 0
    share: float = 0.0

    def after(self, count: int) -> Point:
        """The same place in a text that ``count`` more tokens precede."""
        return Point(self.token + count, self.inside, self.share)


@dataclass(frozen=True)
class Place:
    """Where a student's token begins and ends in the teacher's text."""

    start: Point
    end: Point

    @property
    def is_one_token(self) -> bool:
        """Whether it is a token of the teacher as well: both begin and end at the same bytes."""
        return not self.start.inside and not self.end.inside and self.end.token == self.start.token + 1

    def after(self, count: int) -> Place:
        """The same place in a text that ``count`` more tokens precede."""
        return Place(self.start.after(count), self.end.after(count))


@dataclass(frozen=True)
class Group:
    """The fewest tokens of both that cover the same bytes.

    Args:
        student, teacher: indices of the tokens, without a gap.
    """

    student: range
    teacher: range


def groups_of(student: Tiling, teacher: Tiling) -> Iterator[Group]:
    """The text cut wherever a token of each ends; tokens without bytes go with what follows them.

    What is left after the last common boundary is in no group.
    """
    cuts = sorted({0, *student.ends} & {0, *teacher.ends})
    first_student = first_teacher = 0
    for number, end in enumerate(cuts[1:], start=1):
        is_last = number == len(cuts) - 1
        last_student, last_teacher = (_after(one.ends, end, include_empty=is_last) for one in (student, teacher))
        yield Group(range(first_student, last_student), range(first_teacher, last_teacher))
        first_student, first_teacher = last_student, last_teacher


def align(student: Tiling, teacher: Tiling) -> list[Place | None]:
    """The place of each of the student's tokens; None where it has none.

    A token has no place when it has no bytes, or when its group holds a token, of either, that does not say exactly
    the bytes it covers.

    Args:
        student, teacher: over the same text.
    """
    places: list[Place | None] = [None] * len(student.ids)
    for group in groups_of(student, teacher):
        if all(student.exact[one] for one in group.student) and all(teacher.exact[one] for one in group.teacher):
            for one, place in zip(group.student, _places(student, teacher, group), strict=True):
                places[one] = place
    return places


def _places(student: Tiling, teacher: Tiling, group: Group) -> list[Place | None]:
    first = teacher.starts[group.teacher[0]]
    points = {first: Point(group.teacher[0])}
    cuts = sorted({student.ends[one] for one in group.student} - {first})[:-1]
    owners = [bisect_right(teacher.ends, cut) for cut in cuts]
    for number, (cut, owner) in enumerate(zip(cuts, owners, strict=True)):
        before = number - owners.index(owner) + 1
        share = before / (owners.count(owner) + 1)
        points[cut] = Point(owner, cut - teacher.starts[owner], share)
    points[teacher.ends[group.teacher[-1]]] = Point(group.teacher[-1] + 1)
    spans = [(student.starts[one], student.ends[one]) for one in group.student]
    return [Place(points[start], points[end]) if end > start else None for start, end in spans]


def _after(ends: Sequence[int], cut: int, *, include_empty: bool) -> int:
    """Index of the first token after ``cut``; tokens without bytes at the cut are before it where they close a text."""
    return bisect_right(ends, cut) if include_empty else bisect_left(ends, cut) + 1
