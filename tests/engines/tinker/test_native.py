"""Which term is one of the service's losses, and what becomes of a gradient that is not finite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from tests.conformance.tiny import likelihood_plan, tiny_batch
from tests.engines.tinker.pair import Pair, largest_difference, local_policy, policy_on, session, tiny
from understudy.engines.tinker.native import Native, native_inputs, native_of, native_plan
from understudy.errors import NonFiniteError
from understudy.plans import Ids, Likelihood, LossPlan, LossTerm, Ratio, ToTarget


def term(kind: str, *, k: int = 1, weight: float = 0.5, high: float = 1.2, old: float = -1.0) -> LossTerm:
    """Two rows with advantages 2 and -3 at every id."""
    advantage = torch.tensor([[2.0], [-3.0]]).expand(2, k)
    ratio = Ratio(kind, low=0.8, high=high)  # type: ignore[arg-type]
    loss = Likelihood(advantage, ratio, None if kind == "one" else torch.full((2, k), old))
    return LossTerm(kind, torch.arange(2), torch.full((2,), weight), loss, Ids(torch.ones(2, k).long()))


def test_a_term_is_a_loss_of_the_service_only_where_it_is_exactly_that() -> None:
    bounds = {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}
    assert native_of(term("one", k=3)) == Native("cross_entropy")
    assert native_of(term("importance")) == Native("importance_sampling")
    assert native_of(term("capped", weight=-0.5)) == Native("cispo", bounds)
    assert native_of(term("ppo")) == Native("ppo", bounds)
    for other in (
        term("importance", k=2),  # one target a position
        term("ppo", weight=-0.5),  # the minimum would be the other branch
        term("ppo", high=float("inf")),
        term("dual_clip"),
        term("masked"),
        replace(term("one"), row_loss=ToTarget(torch.zeros(2, 1))),
    ):
        assert native_of(other) is None, other.name


def test_likelihoods_add_up_in_one_pass_and_other_mixtures_do_not() -> None:
    one, other = term("one"), replace(term("one", k=2), name="second")
    assert native_plan([one, other]) == Native("cross_entropy")
    assert native_plan([one, term("importance")]) is None
    assert native_plan([term("importance"), replace(term("importance"), name="second")]) is None


def test_weights_fold_into_advantages_and_what_fills_a_row_is_nothing() -> None:
    inputs = native_inputs(Native("importance_sampling"), term("importance"))
    assert inputs["advantages"].tolist() == [[1.0], [-1.5]] and inputs["logprobs"].tolist() == [[-1.0], [-1.0]]
    wide = term("one", k=2)
    assert isinstance(wide.support, Ids)
    filled = replace(wide, support=replace(wide.support, valid=torch.tensor([[True, False], [True, True]])))
    assert native_inputs(Native("cross_entropy"), filled)["weights"].tolist() == [[1.0, 0.0], [-1.5, -1.5]]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    loaded = tiny()
    with session(tiny=loaded) as (service, running):
        settings = {"learning_rate": 1e-2}
        yield Pair(local_policy(tiny(), **settings), policy_on(service, loaded, **settings), running)


@pytest.mark.parametrize("kind", ["importance", "masked"])
def test_a_ratio_beyond_all_numbers_moves_nothing_and_leaves_nothing_behind(pair: Pair, kind: str) -> None:
    """A loss of the service's own has spoilt what it holds by then; a custom one is stopped before."""
    batch = tiny_batch()
    broken = term(kind, high=float("inf"), old=-1000.0)
    before = pair.weights()[1]
    with pytest.raises(NonFiniteError, match=kind):
        pair.there.update(batch, LossPlan([broken]))
    assert largest_difference(pair.weights()[1], before) == 0.0
    with pytest.raises(NonFiniteError, match=kind):
        pair.here.update(batch, LossPlan([broken]))
    here, there = (one.update(batch, likelihood_plan(batch)) for one in (pair.here, pair.there))
    assert there.sums["nll"] == pytest.approx(here.sums["nll"], rel=1e-5)
    assert there.grad_norm == pytest.approx(here.grad_norm, rel=1e-4)
    assert largest_difference(*pair.weights()) < 1e-4
