"""Several teachers as one: the weighted mean of their distributions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from understudy.errors import RecipeError
from understudy.protocols import Capabilities, Scorer, ScoreRequest, Scores
from understudy.teachers.eager import EagerWrapper, expect
from understudy.teachers.limits import fingerprint_of, refuse_beyond, shared_capabilities
from understudy.teachers.mixed_states import MixedHead, over_vocabulary
from understudy.teachers.mixed_top_k import proven_top_k


@dataclass(frozen=True, eq=False)
class Share:
    """A teacher and its part of a mixture."""

    scorer: Scorer
    weight: float


class MixedScorer(EagerWrapper):
    """Implements ``Scorer``: the log-probs of sum_i w_i p_i, each p_i at the request's temperature.

    ``sampled`` and ``at_ids`` are exact whatever the teachers are. Where all of them give hidden states, so does the
    mixture (theirs, side by side, with a head that mixes), and top k and entropies are exact, made from these over the
    whole vocabulary. Where one does not, there is no entropy, and a top k only if every teacher can name its whole
    vocabulary: then it is exact too, found by ``proven_top_k``.

    Args:
        shares: at least one; weights above 0 that sum to 1. All teachers answer on one vocabulary.
    Raises:
        RecipeError: the weights are not positive, or do not sum to 1.
    """

    def __init__(self, shares: Sequence[Share]) -> None:
        check_weights([share.weight for share in shares])
        self.scorers = {str(number): share.scorer for number, share in enumerate(shares)}
        self.weights = [share.weight for share in shares]
        self._log_weights = torch.tensor(self.weights, dtype=torch.float64).log()

    @property
    def capabilities(self) -> Capabilities:
        """Those that all have, top k and entropies within the conditions above."""
        shared = shared_capabilities(self.scorers)
        size = shared.vocab_size
        names_all = size is not None and min(shared.top_k, shared.at_ids) >= size
        return replace(shared, top_k=shared.top_k if shared.hidden or names_all else 0, entropy=shared.hidden)

    @property
    def fingerprint(self) -> str:
        """Over the weights and the fingerprints of the teachers."""
        parts = zip(self.scorers.items(), self.weights, strict=True)
        return fingerprint_of("mixture", {name: f"{weight!r} {one.fingerprint}" for (name, one), weight in parts})

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order; ``version`` is the newest of the teachers'.

        Raises:
            CapabilityError: the request asks for more than ``capabilities``.
        """
        can = self.capabilities
        refuse_beyond(request, can, who="the mixture of teachers")
        if self._wants_states(request):
            return self._with_states(request)
        scores = [scorer.score(request) for scorer in self.scorers.values()]
        mixed = self._on_ids(scores)
        if request.top_k:
            bound = self._mixed([one.top_logprobs[:, -1] for one in scores if one.top_logprobs is not None])
            listed = torch.cat([one.top_ids for one in scores if one.top_ids is not None], dim=1)
            ids, logprobs = proven_top_k(request, self._at, listed=listed, bound=bound, vocab_size=can.vocab_size or 0)
            mixed = replace(mixed, top_ids=ids, top_logprobs=logprobs)
        return mixed

    def expect(self, request: ScoreRequest) -> None:
        """Have each teacher that can begin with what it will be asked first."""
        first = _states_of(request) if self._wants_states(request) else request
        for scorer in self._inner_scorers:
            expect(scorer, first)

    @property
    def _inner_scorers(self) -> list[Scorer]:
        return list(self.scorers.values())

    def _wants_states(self, request: ScoreRequest) -> bool:
        return self.capabilities.hidden and bool(request.hidden or request.entropy or request.top_k)

    def _with_states(self, request: ScoreRequest) -> Scores:
        scores = [scorer.score(_states_of(request)) for scorer in self.scorers.values()]
        head = MixedHead.of(scores, self._log_weights, temperature=request.temperature)
        states = head.side_by_side([one.hidden for one in scores if one.hidden is not None])
        whole = over_vocabulary(states, head, request=request)
        mixed = replace(
            self._on_ids(scores), entropy=whole.entropy, top_ids=whole.top_ids, top_logprobs=whole.top_logprobs
        )
        return replace(mixed, hidden=states, project=head) if request.hidden else mixed

    def _on_ids(self, scores: Sequence[Scores]) -> Scores:
        """The columns that need no more than the teachers' own figures at the same ids."""
        at_ids = [one.at_ids for one in scores if one.at_ids is not None]
        return Scores(
            sampled=self._mixed([one.sampled for one in scores]),
            fingerprint=self.fingerprint,
            version=max(one.version for one in scores),
            at_ids=self._mixed(at_ids) if at_ids else None,
        )

    def _at(self, request: ScoreRequest) -> Tensor:
        """[R, K] log-probs of the mixture at the request's ids."""
        at_ids = self._on_ids([scorer.score(request) for scorer in self.scorers.values()]).at_ids
        assert at_ids is not None
        return at_ids

    def _mixed(self, logprobs: Sequence[Tensor]) -> Tensor:
        """log sum_i w_i p_i of columns of one shape; -inf where no teacher gives mass."""
        stacked = torch.stack([one.double() for one in logprobs], dim=-1)
        return torch.logsumexp(stacked + self._log_weights, dim=-1).float()


def _states_of(request: ScoreRequest) -> ScoreRequest:
    return replace(request, top_k=0, entropy=False, hidden=True)


def check_weights(weights: Sequence[float]) -> None:
    """Raise RecipeError unless the weights are a distribution without zeros."""
    if not weights or min(weights) <= 0 or abs(math.fsum(weights) - 1) > 1e-6:
        raise RecipeError(
            "the weights of a mixture of teachers are no distribution",
            got=", ".join(f"{weight:g}" for weight in weights) or "none",
            expected="weights above 0 that sum to 1",
        )
