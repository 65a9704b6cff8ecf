"""A student's and a teacher's tokenizer side by side: what the student wrote, as the teacher reads it.

What a teacher of another tokenizer is to read is written as one row of ids in which both vocabularies stand: an id of
the student's as it is, an id of the teacher's own (its prompt, its template) as ``-1 - id``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from understudy.models.byte_offsets import Speller, read_tiled, tiled
from understudy.models.chat import encode_prompt
from understudy.models.tokenizer_fingerprint import tokenizer_fingerprint
from understudy.teachers.alignment import Place, Point, align
from understudy.teachers.limits import fingerprint_of

_REMEMBERED = 4096
"""Texts whose alignment is kept: the view and the scorer read each once."""


def as_own(ids: Tensor) -> Tensor:
    """The teacher's own ids as they stand among the student's."""
    return -1 - ids


@dataclass(frozen=True, eq=False)
class Reader:
    """A model's tokenizer and the ids that end its completions."""

    tokenizer: PreTrainedTokenizerBase
    stop_ids: frozenset[int]

    @property
    def closing_id(self) -> int | None:
        """The id that ends what it writes: its tokenizer's end token, or else the first of them; None without any."""
        own = self.tokenizer.eos_token_id
        return own if own in self.stop_ids else min(self.stop_ids, default=None)


@dataclass(frozen=True, eq=False)
class Aligned:
    """What the teacher reads, and where the student's tokens stand in it.

    Args:
        ids: [L'] int64 of the teacher's vocabulary. places: one for each id of the mixed row, its tokens positions in
            ``ids``; None where nothing of the student's has a counterpart with something before it.
        pieces: the bytes of each of ``ids`` that was aligned. openings: positions of those that open a text.
    """

    ids: Tensor
    places: Sequence[Place | None]
    pieces: Sequence[bytes | None]
    openings: frozenset[int]


class Pair:
    """Reads rows of the student's ids for a teacher of another tokenizer.

    Text is aligned by its bytes. The id that ends the student's completion stands for the one that ends the teacher's,
    and other special tokens for those of the same name; the unknown token, and special tokens without such a
    counterpart, are not read. Equal tokenizers read each other's ids as they are.

    Args:
        student, teacher: both sides.
    Raises:
        TokenizerMismatchError: one of the tokenizers cannot be spelled token by token.
    """

    def __init__(self, student: Reader, teacher: Reader) -> None:
        self.student, self.teacher = student, teacher
        same = [tokenizer_fingerprint(one.tokenizer, ()) for one in (student, teacher)]
        self.is_same = same[0] == same[1]
        prints = [tokenizer_fingerprint(one.tokenizer, one.stop_ids) for one in (student, teacher)]
        self.fingerprint = fingerprint_of("pair", dict(zip(("student", "teacher"), prints, strict=True)))
        self.student_speller, self.teacher_speller = Speller(student.tokenizer), Speller(teacher.tokenizer)
        self._special = self._counterparts()
        self._read = lru_cache(maxsize=_REMEMBERED)(self._reading)

    @property
    def special(self) -> dict[int, int]:
        """The teacher's special token for each of the student's that has one."""
        return dict(self._special)

    def read(self, mixed: Tensor) -> Aligned:
        """What the teacher reads of a row of ids in which the student's and its own stand."""
        return self._read(tuple(mixed.tolist()))

    def _counterparts(self) -> dict[int, int]:
        theirs = {self.teacher.tokenizer.convert_ids_to_tokens(id): id for id in self.teacher_speller.special_ids}
        found = {}
        for id in (self.student_speller.special_ids - {self.student.tokenizer.unk_token_id}) | self.student.stop_ids:
            named = theirs.get(self.student.tokenizer.convert_ids_to_tokens(id))
            other = self.teacher.closing_id if id in self.student.stop_ids else named
            if other is not None:
                found[id] = other
        return found

    def _reading(self, mixed: tuple[int, ...]) -> Aligned:
        text = _Reading(self)
        if mixed and mixed[0] >= 0 and not self.is_same:
            text.open(encode_prompt(self.teacher.tokenizer, "").tolist())
        for own, run in groupby(mixed, key=lambda id: id < 0):
            if own:
                text.take_own([-1 - id for id in run])
            elif self.is_same:
                text.take_same(list(run))
            else:
                for special, ids in groupby(run, key=self._is_special):
                    take = text.take_special if special else text.take_text
                    take(list(ids))
        readable = [place if place is not None and place.start.token >= 1 else None for place in text.places]
        read = torch.tensor(text.ids, dtype=torch.int64)
        return Aligned(read, readable, text.pieces, frozenset(text.openings))

    def _is_special(self, id: int) -> bool:
        return id in self.student_speller.special_ids or id in self.student.stop_ids


class _Reading:
    """The teacher's ids so far, and the places of the student's."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.ids: list[int] = []
        self.places: list[Place | None] = []
        self.pieces: list[bytes | None] = []
        self.openings: set[int] = set()
        self._before: list[int] = []

    def open(self, ids: list[int]) -> None:
        """What the teacher's tokenizer puts before every text; where the student's does so as well, it stands once."""
        self._before = ids
        self._add(ids, [None] * len(ids))

    def take_own(self, ids: list[int]) -> None:
        """Ids that the teacher alone reads."""
        self._add(ids, [self.pair.teacher_speller.piece(id) for id in ids])
        self.places += [None] * len(ids)

    def take_same(self, ids: list[int]) -> None:
        """Ids that mean the same to both."""
        first = len(self.ids)
        self._add(ids, [self.pair.teacher_speller.piece(id) for id in ids])
        self.places += [_one_token(first + number) for number in range(len(ids))]

    def take_special(self, ids: list[int]) -> None:
        """The student's special tokens: each is read as its counterpart, or not at all."""
        for id in ids:
            other = self.pair.special.get(id)
            is_doubled = other in self._before and self.ids == self._before
            self.places.append(None if other is None or is_doubled else _one_token(len(self.ids)))
            if other is not None and not is_doubled:
                self._add([other], [None])

    def take_text(self, ids: list[int]) -> None:
        """The student's words: the teacher reads the same bytes as its own tokens."""
        student = tiled(self.pair.student_speller, ids, opening=self._is_opening())
        teacher = read_tiled(self.pair.teacher_speller, student.text.decode())
        first = len(self.ids)
        self.places += [place and place.after(first) for place in align(student, teacher)]
        if teacher.opening and teacher.ids:
            self.openings.add(first)
        self._add(teacher.ids, teacher.pieces)

    def _is_opening(self) -> bool:
        """Whether words begin here: after nothing, a special token or a space, a decoder drops their first space."""
        before = self.pieces[-1] if self.pieces else None
        return before is None or before[-1:].isspace()

    def _add(self, ids: Sequence[int], pieces: Sequence[bytes | None]) -> None:
        self.ids += ids
        self.pieces += pieces


def _one_token(position: int) -> Place:
    return Place(Point(position), Point(position + 1))
