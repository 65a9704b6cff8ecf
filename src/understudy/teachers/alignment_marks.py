"""From the log-probs of a teacher's tokens to marks of the student's, which cover the same bytes otherwise cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from understudy.models.byte_offsets import Speller
from understudy.protocols import Scores
from understudy.teachers.alignment import Place, Point
from understudy.teachers.alignment_pair import Aligned


@dataclass(frozen=True, eq=False)
class Answers:
    """What the teacher said of its own tokens.

    Args:
        read: what it read, one a context. row_of: (context, position in it) -> row of ``scores``.
        scores: with the teacher's candidates where it has any. speller: of its tokenizer.
    """

    read: Sequence[Aligned]
    row_of: Mapping[tuple[int, int], int]
    scores: Scores
    speller: Speller
    _known: dict[tuple[int, Point], float] = field(default_factory=dict)

    def marks(self, contexts: Sequence[int], places: Sequence[Place]) -> Tensor:
        """[R] float32 nats: log-probability of the text up to each token's end, less that up to its beginning.

        What goes on after a beginning that the teacher calls impossible (-inf) is marked 0: no mark says it twice.
        """
        sampled = self.scores.sampled.double().tolist()
        marks = []
        for context, place in zip(contexts, places, strict=True):
            whole = [sampled[self.row_of[context, token]] for token in range(place.start.token, place.end.token)]
            before = self._up_to(context, place.start)
            marks.append(0.0 if before == -math.inf else sum(whole) + self._up_to(context, place.end) - before)
        return torch.tensor(marks, dtype=torch.float64).float()

    def _up_to(self, context: int, point: Point) -> float:
        """Log-probability of the bytes of the teacher's token that stand before a point inside it."""
        if not point.inside:
            return 0.0
        if (context, point) not in self._known:
            self._known[context, point] = self._prefix(context, point)
        return self._known[context, point]

    def _prefix(self, context: int, point: Point) -> float:
        row, one = self.row_of[context, point.token], self.read[context]
        own = float(self.scores.sampled[row])
        if self.scores.top_ids is None or self.scores.top_logprobs is None:
            return point.share * own
        begins, opening = (one.pieces[point.token] or b"")[: point.inside], point.token in one.openings
        ids, logprobs = self.scores.top_ids[row].tolist(), self.scores.top_logprobs[row].double()
        agrees = [
            id != int(one.ids[point.token]) and (self.speller.piece(id, opening=opening) or b"").startswith(begins)
            for id in ids
        ]
        mass = torch.cat([logprobs[torch.tensor(agrees, dtype=torch.bool)], torch.tensor([own], dtype=torch.float64)])
        return min(0.0, float(mass.logsumexp(0)))
