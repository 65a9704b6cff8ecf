"""The suite of every scorer over a sharded student, of which each rank asks for rows of its own."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from transformers import PreTrainedModel

from tests.conformance.scorer import MakeScorer, ScorerSuite
from tests.conformance.tiny import tiny_tokenizer
from tests.engines.cluster.steps import dividable
from understudy.engines.cluster import ClusterPolicy, Group, join
from understudy.engines.local import OptimizerConfig
from understudy.models.load import describe
from understudy.protocols import Scorer, ScoreRequest


def scorers_of(group: Group) -> MakeScorer:
    """Policies over the group's ranks; the model that is given stays whole."""

    def make(model: PreTrainedModel, *, vocab_size: int, **options: object) -> ClusterPolicy:
        loaded = describe(copy.deepcopy(model), tiny_tokenizer(vocab_size))
        assert loaded.vocab_size == vocab_size
        optimizer = OptimizerConfig(learning_rate=1e-3)
        return ClusterPolicy(loaded, group=group, optimizer=optimizer, total_updates=1, **options)

    return make


class ClusterSuite(ScorerSuite):
    """What holds for any scorer; a rank above the first asks for fewer rows, so that it has fewer passes."""

    variants = ({"token_budget": 1}, {"chunk_rows": 3})
    rank = 0

    def request_of(self, scorer: Scorer, **changes: object) -> ScoreRequest:
        request = super().request_of(scorer, **changes)
        if not self.rank or request.context.numel() < 9:
            return request
        ids = None if request.ids is None else request.ids[:9]
        return replace(request, context=request.context[:9], position=request.position[:9], ids=ids)

    def test_padded_rows_of_the_weights_take_part_in_nothing(
        self, make_scorer: MakeScorer, model: PreTrainedModel
    ) -> None:
        """As the suite has it, but changed before the weights are cut."""
        with torch.no_grad():
            model.get_output_embeddings().weight[self.vocab_size :] += 30.0
        request = self.request_of(scorer := make_scorer(model, vocab_size=self.vocab_size))
        self.check(scorer.score(request), self.truth(model, request), request, tolerance=self.tolerance)


def rank_suite(tensor_parallel: int) -> None:
    """The suite on this rank; an assertion that fails ends it."""
    group = join("cpu", tensor_parallel=tensor_parallel)
    suite, make = ClusterSuite(), scorers_of(group)
    suite.rank = group.rank
    size = suite.vocab_size

    def model() -> PreTrainedModel:
        return dividable("qwen3", tied=True, vocab_size=suite.padded_vocab_size)

    whole = model()
    scorer = make(whole, vocab_size=size)
    for temperature in (1.0, 0.6, 1.7):
        suite.test_equals_a_dense_float64_softmax(scorer, whole, temperature)
    suite.test_gives_float32_on_the_cpu(scorer)
    suite.test_order_of_contexts_and_rows_changes_nothing(scorer)
    suite.test_one_row_among_many_is_the_same_alone(scorer)
    suite.test_no_rows(scorer)
    suite.test_refuses_what_it_cannot_give(scorer)
    suite.test_packing_changes_nothing(scorer, make, whole)
    suite.test_padded_rows_of_the_weights_take_part_in_nothing(make, model())
