"""What every scorer must do. Subclass ``ScorerSuite`` and give a ``make_scorer`` fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.conformance.oracle import true_logprobs
from tests.conformance.tiny import distinct_ids, tiny_batch, tiny_model
from understudy.errors import CapabilityError
from understudy.protocols import Scorer, ScoreRequest, Scores

MakeScorer = Callable[..., Scorer]


class ScorerSuite:
    """Subclasses override the fixture ``make_scorer``: (model, *, vocab_size) -> Scorer.

    ``variants`` are further keyword arguments of it that must not change an answer (budgets, chunks, caches, ...).
    """

    tolerance: float = 2e-5
    variants: tuple[dict[str, object], ...] = ()
    vocab_size: int = 17
    padded_vocab_size: int = 19

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        raise NotImplementedError

    @pytest.fixture
    def model(self) -> PreTrainedModel:
        return tiny_model(vocab_size=self.padded_vocab_size)

    @pytest.fixture
    def scorer(self, make_scorer: MakeScorer, model: PreTrainedModel) -> Scorer:
        return make_scorer(model, vocab_size=self.vocab_size)

    def request_of(self, scorer: Scorer, **changes: object) -> ScoreRequest:
        """Rows in a shuffled order over several contexts, asking for all that the scorer can give."""
        batch = tiny_batch(vocab_size=self.vocab_size)
        generator = torch.Generator().manual_seed(3)
        order = torch.randperm(batch.table.num_tokens, generator=generator)[:-3]
        can = scorer.capabilities
        k = min(3, can.at_ids)
        request = ScoreRequest(
            contexts=[context.ids for context in batch.contexts],
            context=batch.table["context"][order],
            position=batch.table["position"][order],
            ids=distinct_ids(order.numel(), k, vocab_size=self.vocab_size, generator=generator) if k else None,
            top_k=min(4, can.top_k),
            entropy=can.entropy,
            hidden=can.hidden,
        )
        return replace(request, **changes)

    def truth(self, model: PreTrainedModel, request: ScoreRequest) -> Tensor:
        return true_logprobs(model, request, vocab_size=self.vocab_size)

    def check(self, scores: Scores, truth: Tensor, request: ScoreRequest, *, tolerance: float) -> None:
        tokens = [request.contexts[c][p] for c, p in zip(request.context, request.position, strict=True)]
        close(scores.sampled, truth.gather(1, torch.stack(tokens)[:, None]).squeeze(1), tolerance)
        if request.ids is not None:
            assert scores.at_ids is not None
            close(scores.at_ids, truth.gather(1, request.ids), tolerance)
        if request.top_k:
            assert scores.top_ids is not None and scores.top_logprobs is not None
            close(scores.top_logprobs, truth.topk(request.top_k).values, tolerance)
            close(scores.top_logprobs, truth.gather(1, scores.top_ids), tolerance)
        if request.entropy:
            assert scores.entropy is not None
            close(scores.entropy, -(truth.exp() * truth).sum(1), tolerance)
        if request.hidden:
            assert scores.hidden is not None and scores.project is not None
            logits = scores.project(scores.hidden)[:, : self.vocab_size].double().cpu()
            close((logits / request.temperature).log_softmax(1).detach(), truth, tolerance)

    @pytest.mark.parametrize("temperature", [1.0, 0.6, 1.7])
    def test_equals_a_dense_float64_softmax(self, scorer: Scorer, model: PreTrainedModel, temperature: float) -> None:
        request = self.request_of(scorer, temperature=temperature)
        self.check(scorer.score(request), self.truth(model, request), request, tolerance=self.tolerance)

    def test_gives_float32_on_the_cpu(self, scorer: Scorer) -> None:
        scores = scorer.score(self.request_of(scorer))
        for column in (scores.sampled, scores.at_ids, scores.top_logprobs, scores.entropy):
            assert column is None or (column.dtype == torch.float32 and column.device.type == "cpu")

    def test_padded_vocabulary_takes_part_in_nothing(self, scorer: Scorer, model: PreTrainedModel) -> None:
        with torch.no_grad():  # rows beyond the true vocabulary would win every softmax
            model.get_output_embeddings().weight[self.vocab_size :] += 30.0
        request = self.request_of(scorer)
        self.check(scorer.score(request), self.truth(model, request), request, tolerance=self.tolerance)

    def test_packing_changes_nothing(self, scorer: Scorer, make_scorer: MakeScorer, model: PreTrainedModel) -> None:
        request = self.request_of(scorer)
        truth = self.truth(model, request)
        for variant in self.variants:
            other = make_scorer(model, vocab_size=self.vocab_size, **variant)
            self.check(other.score(request), truth, request, tolerance=self.tolerance)

    def test_order_of_contexts_and_rows_changes_nothing(self, scorer: Scorer) -> None:
        request = self.request_of(scorer)
        count = len(request.contexts)
        rows = torch.randperm(request.context.numel())
        turned = replace(
            request,
            contexts=request.contexts[::-1],
            context=count - 1 - request.context[rows],
            position=request.position[rows],
            ids=None if request.ids is None else request.ids[rows],
            routes=request.routes[::-1],
        )
        close(scorer.score(turned).sampled, scorer.score(request).sampled[rows], self.tolerance)

    def test_one_row_among_many_is_the_same_alone(self, scorer: Scorer) -> None:
        request = self.request_of(scorer)
        alone = replace(
            request,
            context=request.context[5:6],
            position=request.position[5:6],
            ids=None if request.ids is None else request.ids[5:6],
        )
        close(scorer.score(alone).sampled, scorer.score(request).sampled[5:6], self.tolerance)

    def test_no_rows(self, scorer: Scorer) -> None:
        none = torch.zeros(0, dtype=torch.int64)
        request = self.request_of(scorer)
        k = request.ids.shape[1] if request.ids is not None else 0
        empty = replace(request, context=none, position=none, ids=None if not k else torch.zeros(0, k).long())
        scores = scorer.score(empty)
        assert scores.sampled.tolist() == []
        assert scores.top_ids is None or tuple(scores.top_ids.shape) == (0, request.top_k)

    def test_fingerprint_follows_the_weights(
        self, scorer: Scorer, make_scorer: MakeScorer, model: PreTrainedModel
    ) -> None:
        same = make_scorer(model, vocab_size=self.vocab_size)
        other = make_scorer(tiny_model(vocab_size=self.padded_vocab_size, seed=1), vocab_size=self.vocab_size)
        assert scorer.score(self.request_of(scorer)).fingerprint == scorer.fingerprint == same.fingerprint
        assert other.fingerprint != scorer.fingerprint

    def test_refuses_what_it_cannot_give(self, scorer: Scorer) -> None:
        with pytest.raises(CapabilityError):
            scorer.score(self.request_of(scorer, top_k=scorer.capabilities.top_k + 1))


def close(got: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(got.double(), expected.double(), atol=tolerance, rtol=tolerance)
