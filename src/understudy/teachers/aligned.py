"""A teacher of another tokenizer as a scorer of the student's tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from understudy.errors import TokenizerMismatchError
from understudy.protocols import Capabilities, Scorer, ScoreRequest, Scores
from understudy.teachers.alignment import Place
from understudy.teachers.alignment_marks import Answers
from understudy.teachers.alignment_pair import Aligned, Pair
from understudy.teachers.alignment_top_k import SharedTokens, under_shared_ids
from understudy.teachers.eager import EagerWrapper, expect
from understudy.teachers.limits import fingerprint_of, refuse_beyond

PREFIX_TOP_K = 64
"""Of the teacher's candidates, so many are asked whether they begin with the same bytes (our choice)."""

_SPARE = 16
"""So many candidates, or twice those asked for, are fetched for a top-k: some have no counterpart (our choice)."""


class AlignedScorer(EagerWrapper):
    """Implements ``Scorer``: marks the student's tokens with a teacher that reads the same bytes as other tokens.

    The mark of a token is the teacher's log-probability of the text up to the token's end, less that up to its
    beginning. At the ends of the teacher's own tokens these are sums of its log-probs. Within one of its tokens, the
    text so far has the probability of all of its candidates there that begin with the same bytes, the token itself
    among them; a teacher without top-k shares the token's log-prob evenly among the student's tokens that overlap it.
    Either way the marks of a stretch sum to the teacher's own log-prob of it.

    A top-k is given for tokens that are one token of the teacher's too, on the tokens that both vocabularies share.

    Args:
        inner: the teacher; a memory of scores belongs inside, for a mark depends on the text that follows its token.
        pair: both tokenizers. student_size, teacher_size: of the vocabularies, for the top-k.
        prefix_top_k: how many candidates are asked about beginnings; 0 shares evenly.
    """

    def __init__(
        self, inner: Scorer, pair: Pair, *, student_size: int, teacher_size: int, prefix_top_k: int = PREFIX_TOP_K
    ) -> None:
        self.inner, self.pair = inner, pair
        self._shared = SharedTokens(pair, student_size=student_size, teacher_size=teacher_size)
        self._prefix_top_k = min(prefix_top_k, inner.capabilities.top_k)

    @property
    def capabilities(self) -> Capabilities:
        """Log-probs of the student's tokens, and a top-k on the shared tokens."""
        inner, count = self.inner.capabilities, self._shared.count
        return Capabilities(sampled=inner.sampled, top_k=min(inner.top_k, count), vocab_size=count)

    @property
    def fingerprint(self) -> str:
        """Over the teacher's and both tokenizers."""
        parts = {"teacher": self.inner.fingerprint, "pair": self.pair.fingerprint, "prefix": self._prefix_top_k}
        return fingerprint_of("aligned", parts)

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order.

        Raises:
            CapabilityError: more is asked than ``capabilities``. TokenizerMismatchError: a row without a counterpart in
                what the teacher reads, or with several for a top-k; its view leaves such rows out.
        """
        refuse_beyond(request, self.capabilities, who="a teacher of another tokenizer")
        asked = self._asked(request)
        answer = self.inner.score(asked.inner(request, top_k=self._num_candidates(request)))
        answers = Answers(asked.read, asked.row_of, answer, self.pair.teacher_speller)
        marks = answers.marks(request.context.tolist(), asked.places)
        scores = Scores(marks, self.fingerprint, answer.version)
        return self._with_top_k(scores, request, asked, answer) if request.top_k else scores

    def expect(self, request: ScoreRequest) -> None:
        """Have the teacher begin with what it will be asked of each text."""
        expect(self.inner, self._asked(request).inner(request, top_k=self._num_candidates(request)))

    @property
    def _inner_scorers(self) -> list[Scorer]:
        return [self.inner]

    def _asked(self, request: ScoreRequest) -> _Asked:
        return _asked(request, [self.pair.read(ids) for ids in request.contexts])

    def _num_candidates(self, request: ScoreRequest) -> int:
        """The same for every batch, so that what is expected of one text is what is asked of many."""
        if self.pair.is_same:
            return min(self.inner.capabilities.top_k, request.top_k)
        wanted = request.top_k + max(request.top_k, _SPARE) if request.top_k else 0
        return min(self.inner.capabilities.top_k, max(wanted, self._prefix_top_k))

    def _with_top_k(self, scores: Scores, request: ScoreRequest, asked: _Asked, answer: Scores) -> Scores:
        assert answer.top_ids is not None and answer.top_logprobs is not None
        ids = torch.zeros(len(asked.places), request.top_k, dtype=torch.int64)
        logprobs = torch.zeros(len(asked.places), request.top_k)
        for row, (context, place) in enumerate(zip(request.context.tolist(), asked.places, strict=True)):
            if not place.is_one_token:
                raise _without_row(request, row, got="several")
            inner, opens = asked.row_of[context, place.start.token], place.start.token in asked.read[context].openings
            shared = self._shared.opening if opens else self._shared.later
            ids[row], logprobs[row] = under_shared_ids(
                answer.top_ids[inner], answer.top_logprobs[inner], shared, k=request.top_k
            )
        return replace(scores, top_ids=ids, top_logprobs=logprobs)


@dataclass(frozen=True, eq=False)
class _Asked:
    """Which of the teacher's tokens answer for which of the student's.

    Args:
        read: what the teacher reads, one a context. places: one a requested row.
        row_of: (context, position in what the teacher reads) -> row of the inner request.
    """

    read: Sequence[Aligned]
    places: Sequence[Place]
    row_of: Mapping[tuple[int, int], int]

    def inner(self, request: ScoreRequest, *, top_k: int) -> ScoreRequest:
        """What the teacher is asked."""
        places = torch.tensor(list(self.row_of), dtype=torch.int64).reshape(-1, 2)
        contexts = [one.ids for one in self.read]
        return replace(request, contexts=contexts, context=places[:, 0], position=places[:, 1], top_k=top_k)


def _asked(request: ScoreRequest, read: Sequence[Aligned]) -> _Asked:
    places: list[Place] = []
    row_of: dict[tuple[int, int], int] = {}
    for row, (context, position) in enumerate(zip(request.context.tolist(), request.position.tolist(), strict=True)):
        place = read[context].places[position]
        if place is None:
            raise _without_row(request, row, got="none")
        places.append(place)
        for token in range(place.start.token, place.end.token + bool(place.end.inside)):
            row_of.setdefault((context, token), len(row_of))
    return _Asked(read, places, row_of)


def _without_row(request: ScoreRequest, row: int, *, got: str) -> TokenizerMismatchError:
    place = f"position {int(request.position[row])} of context {int(request.context[row])}"
    return TokenizerMismatchError(
        f"the student's token at {place} has no single counterpart in what a teacher of another tokenizer reads",
        got=got,
        remedy="Read the rollouts through the teacher's AlignedReading, which leaves such tokens out.",
    )
