"""The student as its own teacher, under some of its weights, reading more than itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import PreTrainedModel

from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import likelihood_plan, tiny_batch, tiny_model
from understudy.engines.local import LocalPolicy, OptimizerConfig
from understudy.models.load import describe
from understudy.protocols import Scorer, ScoreRequest

HINT = torch.tensor([5, 9, 2])


def policy_of(model: PreTrainedModel, *, vocab_size: int, **options: object) -> LocalPolicy:
    loaded, settings = replace(describe(model, None), vocab_size=vocab_size), OptimizerConfig(learning_rate=0.05)
    return LocalPolicy(loaded, optimizer=settings, total_updates=4, keep_initial=True, **options)


class TestLiveSelf(ScorerSuite):
    """Each context has a hint before it, as a privileged view puts it there."""

    variants = ({"token_budget": 40}, {"chunk_rows": 3})

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        return lambda model, *, vocab_size, **options: policy_of(model, vocab_size=vocab_size, **options).scorer("live")

    def request_of(self, scorer: Scorer, **changes: object) -> ScoreRequest:
        request = super().request_of(scorer, **changes)
        contexts = [torch.cat([HINT, ids]) for ids in request.contexts]
        return replace(request, contexts=contexts, position=request.position + HINT.numel())


class TestInitialSelf(TestLiveSelf):
    """After an update, which the start knows nothing of."""

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        def make(model: PreTrainedModel, *, vocab_size: int, **options: object) -> Scorer:
            twin = tiny_model(vocab_size=model.config.vocab_size)
            twin.load_state_dict(model.state_dict())
            policy, batch = policy_of(twin, vocab_size=vocab_size, **options), tiny_batch(vocab_size=vocab_size)
            policy.update(batch, likelihood_plan(batch))
            return policy.scorer("initial")

        return make

    def test_padded_vocabulary_takes_part_in_nothing(self, make_scorer: MakeScorer, model: PreTrainedModel) -> None:
        """The start is a copy: the padding must be there before it is made."""
        with torch.no_grad():
            model.get_output_embeddings().weight[self.vocab_size :] += 30.0
        super().test_padded_vocabulary_takes_part_in_nothing(make_scorer(model, vocab_size=self.vocab_size), model)


def test_the_start_has_one_version_and_one_fingerprint_whatever_was_published() -> None:
    """So that what is remembered of it stays true."""
    policy, batch = policy_of(tiny_model(), vocab_size=19), tiny_batch()
    request = ScoreRequest([c.ids for c in batch.contexts], batch.table["context"], batch.table["position"])
    initial, live = policy.scorer("initial"), policy.scorer("live")
    before = initial.score(request), live.score(request)
    policy.update(batch, likelihood_plan(batch))
    policy.publish()
    after = initial.score(request), live.score(request)
    assert (before[0].fingerprint, before[0].version) == (after[0].fingerprint, after[0].version)
    assert before[0].sampled.equal(after[0].sampled)
    assert before[1].fingerprint != after[1].fingerprint and before[1].version != after[1].version
