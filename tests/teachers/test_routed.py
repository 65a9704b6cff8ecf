"""Contexts that each go to their own teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.conformance.oracle import true_logprobs
from tests.conformance.scorer import MakeScorer, ScorerSuite, close
from tests.conformance.tiny import tiny_batch, tiny_model
from tests.teachers.members import Telling, local, second_model
from understudy.errors import CapabilityError, RecipeError, ShapeError
from understudy.protocols import Scorer, ScoreRequest, View, Viewed
from understudy.rollouts import Context, Rollout
from understudy.teachers import RoutedScorer
from understudy.teachers.routed import routed_view

ROUTES = ("near", "far")


def routes_of(count: int) -> list[str]:
    return [ROUTES[number % 2] for number in range(count)]


class TestRoutedScorer(ScorerSuite):
    """Contexts go in turn to the model at hand and to another one with states of another width."""

    variants = ({"token_budget": 40}, {"chunk_rows": 3})

    @pytest.fixture
    def make_scorer(self) -> MakeScorer:
        def make(model: PreTrainedModel, *, vocab_size: int, **options: object) -> Scorer:
            other = local(second_model(), vocab_size=vocab_size, **options)
            return RoutedScorer({"near": local(model, vocab_size=vocab_size, **options), "far": other})

        return make

    def request_of(self, scorer: Scorer, **changes: object) -> ScoreRequest:
        request = super().request_of(scorer, **changes)
        return replace(request, routes=routes_of(len(request.contexts)))

    def truth(self, model: PreTrainedModel, request: ScoreRequest) -> Tensor:
        near, far = (true_logprobs(one, request, vocab_size=self.vocab_size) for one in (model, second_model()))
        is_near = torch.tensor([request.routes[c] == "near" for c in request.context.tolist()])
        assert 0 < int(is_near.sum()) < is_near.numel()
        return torch.where(is_near[:, None], near, far)


@pytest.fixture
def pair() -> dict[str, Telling]:
    near, far = local(tiny_model(), vocab_size=19), local(second_model(), vocab_size=19)
    return {"near": Telling(near), "far": Telling(far)}


def request_with(routes: Sequence[str], **changes: object) -> ScoreRequest:
    batch = tiny_batch()
    contexts = [context.ids for context in batch.contexts]
    return ScoreRequest(contexts, batch.table["context"], batch.table["position"], routes=routes, **changes)


NUM_CONTEXTS = len(tiny_batch().contexts)


def test_a_teacher_is_asked_for_its_own_rows_only(pair: dict[str, Telling]) -> None:
    request = request_with(routes_of(NUM_CONTEXTS))
    RoutedScorer(pair).score(request)
    for name, member in pair.items():
        (asked,) = member.asked
        own = [row for row, c in enumerate(request.context.tolist()) if request.routes[c] == name]
        assert asked.context.equal(request.context[own]) and asked.position.equal(request.position[own])


def test_all_rows_on_one_route_are_that_teacher_s(pair: dict[str, Telling]) -> None:
    request = request_with(["far"] * NUM_CONTEXTS, top_k=3, entropy=True, hidden=True)
    scores, alone = RoutedScorer(pair).score(request), pair["far"].inner.score(request)
    assert scores.sampled.equal(alone.sampled) and scores.top_ids is not None and alone.top_ids is not None
    assert scores.top_ids.equal(alone.top_ids)
    assert scores.project is not None and alone.project is not None
    close(scores.project(scores.hidden), alone.project(alone.hidden), 1e-6)


def test_it_can_give_what_all_its_teachers_can(pair: dict[str, Telling]) -> None:
    assert RoutedScorer(pair).capabilities == replace(pair["near"].capabilities, text=False)
    pair["far"].hides = frozenset({"hidden", "entropy", "top_k"})
    less = RoutedScorer(pair)
    can = less.capabilities
    assert (can.sampled, can.top_k, can.at_ids, can.entropy, can.hidden) == (True, 0, 19, False, False)
    with pytest.raises(CapabilityError, match="the routed teacher cannot give exact entropies and last hidden states"):
        less.score(request_with(["near"] * NUM_CONTEXTS, entropy=True, hidden=True))


def test_states_of_a_coarser_teacher_are_projected_as_its_own() -> None:
    """bfloat16 states pass through float32 unchanged."""
    coarse, fine = local(second_model().bfloat16(), vocab_size=19), local(tiny_model(), vocab_size=19)
    request = request_with(routes_of(NUM_CONTEXTS), hidden=True)
    scores = RoutedScorer({"near": fine, "far": coarse}).score(request)
    assert scores.project is not None and scores.hidden is not None
    far = torch.tensor([request.routes[c] == "far" for c in request.context.tolist()])
    alone = coarse.score(request)
    assert alone.project is not None and alone.hidden is not None and alone.hidden.dtype == torch.bfloat16
    assert scores.project(scores.hidden)[far].equal(alone.project(alone.hidden[far]))


def test_a_route_that_nobody_has_is_refused(pair: dict[str, Telling]) -> None:
    with pytest.raises(RecipeError, match=r"no teacher has the route 'poetry'; expected one of 'near', 'far'\. Add it"):
        RoutedScorer(pair).score(request_with(["near"] * (NUM_CONTEXTS - 1) + ["poetry"]))
    with pytest.raises(ShapeError, match=f"a route for each context; got 0 for {NUM_CONTEXTS}"):
        RoutedScorer(pair).score(request_with([]))
    with pytest.raises(RecipeError, match="at least one route"):
        RoutedScorer({})


def test_the_fingerprint_tells_who_answers_for_what(pair: dict[str, Telling]) -> None:
    turned = RoutedScorer({"near": pair["far"], "far": pair["near"]})
    renamed = RoutedScorer({"near": pair["near"], "away": pair["far"]})
    assert len({RoutedScorer(pair).fingerprint, turned.fingerprint, renamed.fingerprint}) == 3


def test_each_context_is_read_through_the_view_of_its_route() -> None:
    hint = torch.tensor([7, 8])

    def hinted(rollouts: Sequence[Rollout], contexts: Sequence[Context]) -> list[Viewed]:
        assert [rollouts[context.rollout].domain for context in contexts] == ["b"] * len(contexts)
        return [Viewed(torch.cat([hint, c.ids]), torch.arange(c.ids.numel()) + 2) for c in contexts]

    rollouts = [Rollout(n, n, "p", (), "stop", domain="ab"[n % 2]) for n in range(5)]  # type: ignore[arg-type]
    contexts = [replace(tiny_batch().contexts[0], rollout=n) for n in range(5)]
    view = routed_view({"b": View("group", hinted), "c": View("rollout", hinted)}, lambda rollout: rollout.domain)
    assert view.after == "group"
    for number, one in enumerate(view.read(rollouts, contexts)):
        shift = 2 * (number % 2)
        assert one.ids.tolist() == hint.tolist()[:shift] + contexts[number].ids.tolist()
        assert one.position.tolist() == [place + shift for place in range(contexts[number].ids.numel())]
