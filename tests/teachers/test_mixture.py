"""Several teachers as one distribution."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.conformance.oracle import true_logprobs
from tests.conformance.scorer import MakeScorer, ScorerSuite, close
from tests.conformance.tiny import tiny_batch, tiny_model
from tests.teachers.members import Telling, local, second_model
from understudy.errors import CapabilityError, RecipeError
from understudy.protocols import Capabilities, Scorer, ScoreRequest, Scores
from understudy.teachers import MixedScorer
from understudy.teachers.mixture import Share

WEIGHTS = (0.7, 0.3)


class TestMixedScorer(ScorerSuite):
    """The model at hand and another one with states of another width; all figures from their states."""

    variants = ({"token_budget": 40}, {"chunk_rows": 3})
    hides: frozenset[str] = frozenset()

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        def make(model: PreTrainedModel, *, vocab_size: int, **options: object) -> Scorer:
            models = (model, second_model())
            members = [Telling(local(one, vocab_size=vocab_size, **options), self.hides) for one in models]
            return MixedScorer([Share(*pair) for pair in zip(members, WEIGHTS, strict=True)])

        return make

    def truth(self, model: PreTrainedModel, request: ScoreRequest) -> Tensor:
        parts = [true_logprobs(one, request, vocab_size=self.vocab_size) for one in (model, second_model())]
        return (WEIGHTS[0] * parts[0].exp() + WEIGHTS[1] * parts[1].exp()).log()


class TestWithoutStates(TestMixedScorer):
    """Teachers that give no states: the top k is found among the tokens they name."""

    hides = frozenset({"hidden"})

    def test_gives_no_entropy(self, scorer: Scorer) -> None:
        assert not scorer.capabilities.entropy and scorer.capabilities.top_k == self.vocab_size
        with pytest.raises(CapabilityError, match="exact entropies"):
            scorer.score(self.request_of(scorer, entropy=True))

    @pytest.mark.parametrize("k", [1, 2, 8, 9, 17])
    def test_the_top_k_is_exact_whatever_k(self, scorer: Scorer, model: PreTrainedModel, k: int) -> None:
        request = self.request_of(scorer, top_k=k)
        scores, truth = scorer.score(request), self.truth(model, request)
        assert scores.top_ids is not None and scores.top_logprobs is not None
        close(scores.top_logprobs, truth.topk(k).values, self.tolerance)
        close(scores.top_logprobs, truth.gather(1, scores.top_ids), self.tolerance)
        assert all(len(set(row)) == k for row in scores.top_ids.tolist())


class Fixed:
    """A scorer of one context whose distributions are given: row p predicts position p."""

    def __init__(self, *probabilities: list[float]) -> None:
        self.logprobs = torch.tensor(probabilities).log()
        self.asked: list[ScoreRequest] = []

    @property
    def capabilities(self) -> Capabilities:
        size = self.logprobs.shape[1]
        return Capabilities(top_k=size, at_ids=size, vocab_size=size)

    @property
    def fingerprint(self) -> str:
        return str(self.logprobs.tolist())

    def score(self, request: ScoreRequest) -> Scores:
        self.asked.append(request)
        rows = self.logprobs[request.position - 1]
        token = request.contexts[0][request.position]
        top = rows.topk(request.top_k)
        return Scores(
            sampled=rows.gather(1, token[:, None]).squeeze(1),
            fingerprint=self.fingerprint,
            version=0,
            at_ids=None if request.ids is None else rows.gather(1, request.ids),
            top_ids=top.indices if request.top_k else None,
            top_logprobs=top.values if request.top_k else None,
        )


def one_row(**changes: object) -> ScoreRequest:
    return ScoreRequest([torch.tensor([0, 3])], torch.tensor([0]), torch.tensor([1]), **changes)


def test_probabilities_are_mixed_by_hand() -> None:
    mixed = MixedScorer([Share(Fixed([0.5, 0.25, 0.25, 0.0]), 0.75), Share(Fixed([0.25, 0.0, 0.5, 0.25]), 0.25)])
    scores = mixed.score(one_row(ids=torch.tensor([[0, 1, 2, 3]])))
    assert scores.at_ids is not None
    assert scores.at_ids.exp().tolist()[0] == pytest.approx([0.4375, 0.1875, 0.3125, 0.0625])
    assert float(scores.sampled) == pytest.approx(math.log(0.0625))


def test_a_token_that_no_teacher_gives_mass_has_minus_infinity_and_no_nan() -> None:
    mixed = MixedScorer([Share(Fixed([1.0, 0.0, 0.0, 0.0]), 0.5), Share(Fixed([0.5, 0.5, 0.0, 0.0]), 0.5)])
    scores = mixed.score(one_row(ids=torch.tensor([[0, 1, 2, 3]]), top_k=3))
    assert scores.at_ids is not None and scores.top_ids is not None and scores.top_logprobs is not None
    assert scores.at_ids.exp().tolist() == [[0.75, 0.25, 0.0, 0.0]]
    assert float(scores.sampled) == -math.inf
    assert scores.top_ids.tolist()[0][:2] == [0, 1] and len(set(scores.top_ids.tolist()[0])) == 3


def test_the_best_of_a_mixture_may_be_nobody_s_best() -> None:
    """Token 2 is second for both and first of the mixture: the union of the first choices alone would miss it."""
    teachers = (Fixed([0.5, 0.05, 0.45, 0.0]), Fixed([0.05, 0.5, 0.45, 0.0]))
    scores = MixedScorer([Share(one, 0.5) for one in teachers]).score(one_row(top_k=1))
    assert scores.top_ids is not None and scores.top_logprobs is not None
    assert scores.top_ids.tolist() == [[2]]
    assert float(scores.top_logprobs) == pytest.approx(math.log(0.45))


def test_rows_that_the_bound_proves_are_not_asked_for_again() -> None:
    """Where the teachers agree, the k-th candidate reaches the bound: one call for their lists, one at the union."""
    teachers = (Fixed([0.6, 0.3, 0.06, 0.04]), Fixed([0.7, 0.2, 0.06, 0.04]))
    MixedScorer([Share(one, 0.5) for one in teachers]).score(one_row(top_k=2))
    assert [len(one.asked) for one in teachers] == [2, 2]
    ids = teachers[0].asked[1].ids
    assert ids is not None and sorted(set(ids.tolist()[0])) == [0, 1]


def test_a_top_k_that_cannot_be_proved_is_not_offered() -> None:
    """Teachers that name 4 tokens at most, and no states: nothing bounds the tokens they do not name."""
    limited = Telling(local(tiny_model(), vocab_size=19), frozenset({"hidden"}))

    class Short(Telling):
        @property
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities, top_k=4)

    mixed = MixedScorer([Share(limited, 0.5), Share(Short(limited), 0.5)])
    assert (mixed.capabilities.top_k, mixed.capabilities.at_ids) == (0, 19)
    batch = tiny_batch()
    request = ScoreRequest([c.ids for c in batch.contexts], batch.table["context"], batch.table["position"], top_k=2)
    with pytest.raises(CapabilityError, match=r"the mixture of teachers cannot give the top 2 tokens \(its limit: 0\)"):
        mixed.score(request)


def test_equal_teachers_are_one_teacher() -> None:
    teacher = local(tiny_model(), vocab_size=17)
    suite = TestMixedScorer()
    request = suite.request_of(teacher)
    mixed, alone = MixedScorer([Share(teacher, 0.2), Share(teacher, 0.8)]).score(request), teacher.score(request)
    for name in ("sampled", "at_ids", "top_logprobs", "entropy"):
        close(getattr(mixed, name), getattr(alone, name), 1e-5)


@pytest.mark.parametrize(
    ("weights", "said"),
    [([0.5, 0.6], "got 0.5, 0.6"), ([1.0, 0.0], "above 0"), ([1.5, -0.5], "above 0"), ([], "got none")],
)
def test_weights_that_are_no_distribution_are_refused(weights: list[float], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        MixedScorer([Share(Fixed([1.0]), weight) for weight in weights])


def test_the_fingerprint_follows_the_weights_of_the_mixture() -> None:
    teacher = Fixed([0.5, 0.5])
    prints = {MixedScorer([Share(teacher, w), Share(teacher, 1 - w)]).fingerprint for w in (0.25, 0.5)}
    assert len(prints) == 2
