"""A teacher's most likely tokens under the student's ids, where both vocabularies have a token of the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from understudy.models.byte_offsets import Speller
from understudy.teachers.alignment_pair import Pair


class SharedTokens:
    """The tokens that two vocabularies share: equal bytes, or special tokens that stand for each other.

    Args:
        pair: both tokenizers. student_size, teacher_size: of the vocabularies.
    """

    def __init__(self, pair: Pair, *, student_size: int, teacher_size: int) -> None:
        self._pair = pair
        self._student_size, self._teacher_size = student_size, teacher_size

    @property
    def count(self) -> int:
        """How many of the student's tokens have a counterpart after other text."""
        return len(set(self.later.values()))

    @cached_property
    def later(self) -> Mapping[int, int]:
        """The student's id for each of the teacher's that has one, after other text."""
        return self._shared(opening=False)

    @cached_property
    def opening(self) -> Mapping[int, int]:
        """The same at the opening of a text, where some decoders drop a space."""
        return self._shared(opening=True)

    def _shared(self, *, opening: bool) -> dict[int, int]:
        if self._pair.is_same:
            return {id: id for id in range(min(self._student_size, self._teacher_size))}
        ours = _by_piece(self._pair.student_speller, self._student_size, opening=opening)
        pieces = ((id, self._pair.teacher_speller.piece(id, opening=opening)) for id in range(self._teacher_size))
        shared = {id: ours[piece] for id, piece in pieces if piece in ours}
        for student, teacher in self._pair.special.items():
            if student < self._student_size and teacher < self._teacher_size and not self._is_other_end(student):
                shared[teacher] = student
        return shared

    def _is_other_end(self, student: int) -> bool:
        """One of several ids that end the student's completions, and not the one that it would use."""
        side = self._pair.student
        return student in side.stop_ids and student != side.closing_id


def under_shared_ids(ids: Tensor, logprobs: Tensor, shared: Mapping[int, int], *, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` most likely of one row's candidates that the student has too, under its ids: [k] twice.

    Log-probs stay those of the teacher's whole vocabulary: what has no counterpart is missing from their sum.
    Candidates of equal bytes are one. Where fewer than ``k`` are shared, other shared tokens fill the row with -inf.

    Args:
        ids, logprobs: [J] of the teacher. shared: the student's id for each of the teacher's that has one.
    """
    mass: dict[int, float] = {}
    for id, logprob in zip(ids.tolist(), logprobs.tolist(), strict=True):
        if id in shared:
            before = mass.get(shared[id])
            mass[shared[id]] = logprob if before is None else float(torch.tensor([before, logprob]).logsumexp(0))
    for student in shared.values():
        if len(mass) >= k:
            break
        mass.setdefault(student, -math.inf)
    best = sorted(mass.items(), key=lambda pair: -pair[1])[:k]
    return torch.tensor([id for id, _ in best]), torch.tensor([logprob for _, logprob in best])


def _by_piece(speller: Speller, size: int, *, opening: bool) -> dict[bytes | None, int]:
    """The token of each spelling; of several, no bare byte, and where a space is dropped, one that had it."""

    def rank(id: int) -> tuple[bool, bool]:
        return speller.is_byte(id), opening and speller.piece(id) == speller.piece(id, opening=True)

    found: dict[bytes | None, int] = {}
    for id in range(size):
        piece = speller.piece(id, opening=opening)
        if piece and (piece not in found or rank(id) < rank(found[piece])):
            found[piece] = id
    return found
