"""Tokens of older weights: what each correction makes of them, in expectation over the sampler that drew them."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.grpo import GRPO
from understudy.objectives.row_losses import ratio_factor
from understudy.plans import Likelihood, LossPlan
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import TokenTable, batch_of
from understudy.training.staleness import Correction, Staleness, own_rows, stale_rows
from understudy.world import SingleProcess

V, NOW = 5, 7


def distribution(seed: int) -> Tensor:
    return torch.randn(V, generator=torch.Generator().manual_seed(seed)).log_softmax(0)


PRESENT, SAMPLER, TEACHER = (distribution(seed) for seed in range(3))


def table(version: int = NOW - 2) -> TokenTable:
    """One rollout for every token of a vocabulary of V, drawn by the sampler's weights of ``version``."""
    prompt = torch.tensor([0])

    def turn(token: int) -> Turn:
        ids = torch.tensor([token])
        origin, versions = torch.full_like(ids, Origin.STUDENT), torch.full_like(ids, version)
        return Turn(prompt, ids, origin, SAMPLER[token : token + 1], versions, FinishReason.STOP)

    rollouts = [Rollout(n, n, f"p{n}", (turn(n),), FinishReason.STOP, reward=float(n)) for n in range(V)]
    found = batch_of(rollouts, contexts_of(rollouts)).table
    return found.with_tokens(student_logprob=PRESENT, teacher_logprob=TEACHER)


def planned(correction: Correction, *, cap: float = 1e9, version: int = NOW - 2) -> LossPlan:
    stale, rows = Staleness(correction, cap), table(version)
    plans = objective_of(OPD()).plan(stale.columns(rows, NOW), PlanContext())
    return stale.plans(plans, rows, NOW)[0]


def coefficients(plan: LossPlan) -> Tensor:
    """[V] what multiplies grad log pi of each token before the update: f(rho) A."""
    (term,) = plan.terms
    loss = term.row_loss
    assert isinstance(loss, Likelihood) and loss.old_logprob is not None
    rho = (PRESENT[:, None] - loss.old_logprob).exp()
    return (ratio_factor(loss.ratio, rho, loss.advantage) * loss.advantage)[:, 0]


def test_the_ratio_gives_the_present_students_gradient_in_expectation() -> None:
    """sum_y q rho A grad log p = sum_y p A grad log p, with A of the present student: enumerated."""
    grad_log = torch.eye(V) - PRESENT.exp()[None]  # of each token's log-prob to the logits
    wanted = (PRESENT.exp() * (TEACHER - PRESENT)) @ grad_log
    drawn = (SAMPLER.exp() * coefficients(planned("ratio"))) @ grad_log
    torch.testing.assert_close(drawn, wanted)
    for other in ("none", "signal"):
        biased = (SAMPLER.exp() * coefficients(planned(other))) @ grad_log
        assert not torch.allclose(biased, wanted, atol=1e-2), other


def test_what_each_correction_multiplies_a_token_with() -> None:
    rho = (PRESENT - SAMPLER).exp()
    now, then = TEACHER - PRESENT, TEACHER - SAMPLER
    kept = (rho >= 0.5) & (rho <= 2)
    assert 0 < int(kept.sum()) < V and bool((rho > 2).any())
    torch.testing.assert_close(coefficients(planned("none")), then)
    torch.testing.assert_close(coefficients(planned("signal")), now)
    torch.testing.assert_close(coefficients(planned("ratio", cap=2)), rho.clamp_max(2) * now)
    torch.testing.assert_close(coefficients(planned("mask", cap=2)), torch.where(kept, rho, 0) * now)


@pytest.mark.parametrize("correction", get_args(Correction))
def test_tokens_of_the_present_weights_are_left_as_they_are(correction: Correction) -> None:
    fresh = planned(correction, version=NOW)
    torch.testing.assert_close(coefficients(fresh), (PRESENT - SAMPLER).exp() * (TEACHER - PRESENT))


def test_a_methods_own_bounds_stay() -> None:
    rows, stale = table(), Staleness("ratio", 2.0)
    plans = objective_of(GRPO()).plan(stale.columns(rows, NOW), PlanContext())
    kinds = [term.row_loss.ratio for plan in plans for term in plan.terms if isinstance(term.row_loss, Likelihood)]
    after = stale.plans(plans, rows, NOW)
    assert kinds and kinds[0].kind == "ppo"
    assert [term.row_loss.ratio for plan in after for term in plan.terms] == kinds  # type: ignore[union-attr]


def test_figures_tell_how_old_and_how_far() -> None:
    figures = Staleness("ratio", 2.0).figures(table(), NOW, SingleProcess())
    change = PRESENT - SAMPLER
    assert (figures["staleness/mean"], figures["staleness/max"], figures["staleness/share"]) == (2, 2, 1)
    assert math.isclose(figures["staleness/log_ratio"], float(change.abs().mean()), rel_tol=1e-6)
    assert figures["staleness/capped"] == float((change > math.log(2)).double().mean())
    masked = Staleness("mask", 2.0).figures(table(), NOW, SingleProcess())
    assert masked["staleness/capped"] == float((change.abs() > math.log(2)).double().mean())
    fresh = Staleness().figures(table(NOW), NOW, SingleProcess())
    assert fresh == {"staleness/mean": 0, "staleness/max": 0, "staleness/share": 0}


def test_how_far_is_a_mean_over_the_old_tokens_alone() -> None:
    """Two of five are two versions old; the others' distance is the update that is yet to come."""
    version = torch.full((V,), NOW)
    version[:2] = NOW - 2
    figures = Staleness("ratio", 2.0).figures(table().with_tokens(weight_version=version), NOW, SingleProcess())
    change = (PRESENT - SAMPLER)[:2]
    assert figures["staleness/share"] == 2 / 5 and figures["staleness/mean"] == 4 / 5
    assert math.isclose(figures["staleness/log_ratio"], float(change.abs().mean()), rel_tol=1e-6)
    assert figures["staleness/capped"] == float((change > math.log(2)).double().mean())


def test_only_what_the_students_sampler_drew_can_be_old() -> None:
    rows = table()
    by_teacher = rows.with_tokens(origin=torch.full((V,), int(Origin.TEACHER)))
    untold = rows.with_tokens(behaviour_logprob=torch.full((V,), math.nan))
    assert bool(stale_rows(rows, NOW).all()) and not bool(stale_rows(rows, NOW - 2).any())
    assert not bool(own_rows(by_teacher).any()) and not bool(own_rows(untold).any())
