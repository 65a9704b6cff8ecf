from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import tiny_model
from understudy.engines.local import LocalScorer
from understudy.errors import CapabilityError, ShapeError
from understudy.models.load import describe


def local_scorer(model: PreTrainedModel, *, vocab_size: int, **options: object) -> LocalScorer:
    return LocalScorer(replace(describe(model, None), vocab_size=vocab_size), **options)


class TestLocalScorer(ScorerSuite):
    variants = ({"token_budget": 1}, {"token_budget": 40}, {"chunk_rows": 1}, {"chunk_rows": 7, "token_budget": 64})

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        return local_scorer


class TestUntiedHead(TestLocalScorer):
    @pytest.fixture
    def model(self) -> PreTrainedModel:
        return tiny_model(vocab_size=self.padded_vocab_size, tied=False)


class TestBfloat16(ScorerSuite):
    """A bfloat16 teacher rounds its states; its head and softmax do not round, so the error stays small."""

    tolerance = 0.15

    @pytest.fixture
    def model(self) -> PreTrainedModel:
        return tiny_model(vocab_size=self.padded_vocab_size).bfloat16()

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        return lambda model, *, vocab_size: local_scorer(model.bfloat16(), vocab_size=vocab_size)


def test_bfloat16_head_multiplies_in_float32() -> None:
    model = tiny_model(vocab_size=17).bfloat16()
    scorer = local_scorer(model, vocab_size=17)
    suite = TestBfloat16()
    request = replace(suite.request_of(scorer), hidden=True)
    scores = scorer.score(request)
    logits = scores.hidden.double() @ model.lm_head.weight.double().T
    tokens = torch.stack([request.contexts[c][p] for c, p in zip(request.context, request.position, strict=True)])
    expected = logits.log_softmax(1).gather(1, tokens[:, None]).squeeze(1)
    torch.testing.assert_close(scores.sampled.double(), expected, atol=1e-5, rtol=1e-5)


def test_rows_outside_a_context_and_ids_outside_the_vocabulary_are_refused() -> None:
    scorer = local_scorer(tiny_model(vocab_size=19), vocab_size=17)
    request = replace(TestLocalScorer().request_of(scorer), ids=None)
    with pytest.raises(ShapeError, match="position"):
        scorer.score(replace(request, position=torch.zeros_like(request.position)))
    with pytest.raises(ShapeError, match="position"):
        scorer.score(replace(request, position=request.position + 40))
    with pytest.raises(ShapeError, match="position"):
        scorer.score(replace(request, position=request.position - 1000))
    with pytest.raises(ShapeError, match="context"):
        scorer.score(replace(request, context=request.context + 1000))
    with pytest.raises(CapabilityError, match="temperature"):
        scorer.score(replace(request, temperature=0.0))
    with pytest.raises(ShapeError, match="vocabulary"):
        scorer.score(replace(request, ids=torch.full((request.context.numel(), 1), 17)))
