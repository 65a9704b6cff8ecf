"""reopold: rewards floored; in two stages, first above the floor, then where the student is unsure."""

from __future__ import annotations

import math

import pytest
import torch

from tests.objectives.claims import at_visited_states, distance, log_ratio, on_policy, pulled_by
from tests.objectives.oracle import make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import student_tokens
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.reopold import REOPOLD
from understudy.objectives.phases import switched
from understudy.rollouts import Origin

FLOOR = -0.5


def gate_of(chain, stage):
    live = chain.logits.detach().log_softmax(1)
    entropy = -(live.exp() * live).sum(1)
    return {
        "clip_only": torch.ones_like(live, dtype=torch.bool),
        "first": log_ratio(chain) >= FLOOR,
        "second": (entropy >= torch.quantile(entropy[chain.state_rows()], 0.8))[:, None].expand_as(live),
    }[stage]


@pytest.mark.parametrize(("stage", "step"), [("clip_only", 0), ("first", 4), ("second", 5)])
def test_expected_gradient_is_the_policy_gradient_of_the_floored_reward(stage, step):
    chain = make_chain(0)
    settings = REOPOLD(floor=FLOOR, stages="clip_only" if stage == "clip_only" else "two_stage", reduction="token_sum")
    found = on_policy(settings, chain, context=PlanContext(step=step, total_steps=10))
    kept = gate_of(chain, stage)
    assert stage == "clip_only" or 0 < int(kept.sum()) < kept.numel()
    pull = kept * log_ratio(chain).clamp(min=FLOOR)
    assert distance(found, at_visited_states(chain, pulled_by(pull, chain))) < 1e-9
    assert distance(found, at_visited_states(chain, pulled_by(-pull, chain))) > 1e-3
    assert distance(found, at_visited_states(chain, pulled_by(kept * log_ratio(chain), chain))) > 1e-3 or (
        stage == "first"  # there nothing that is kept lies below the floor
    )


def test_without_a_floor_it_is_opd_and_an_equal_teacher_gives_exactly_zero():
    chain = make_chain(1)
    deep = on_policy(REOPOLD(floor=-99.0, reduction="token_sum"), chain)
    assert torch.equal(deep, on_policy(OPD(reduction="token_sum"), chain))
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    for stages in ("clip_only", "two_stage"):
        found = on_policy(REOPOLD(stages=stages, reduction="token_sum"), chain)
        assert torch.equal(found, torch.zeros_like(found))


@pytest.mark.parametrize("step", [0, 8])
def test_the_mean_is_over_what_is_kept(step):
    probe = make_probe(rollouts_of([[4], [6], [3], [5]]))
    table, context = probe.table, PlanContext(step=step, total_steps=9)
    reward = table["teacher_logprob"] - table["student_logprob"]
    entropy = table["student_entropy"]
    kept = reward >= FLOOR if step == 0 else entropy >= torch.quantile(entropy, 0.8)

    def loss(live):
        rho = (probe.at_token(live) - table["behaviour_logprob"]).exp()
        return -(kept * rho * reward.clamp(min=FLOOR)).sum() / kept.sum()

    objective = objective_of(REOPOLD(floor=FLOOR, stages="two_stage"))
    (found,) = check_on_ranks(objective, probe, context=context)
    assert 0 < int(kept.sum()) < table.num_tokens
    assert distance(found, probe.claimed(loss)) < 1e-12


@pytest.mark.parametrize(
    ("at", "total", "first"), [(0.5, 300, 150), (0.5, 9, 5), (0.0, 4, 0), (1.0, 4, 4), (0.5, 1, 1)]
)
def test_the_stage_switches_at_its_share_of_the_steps(at, total, first):
    chain = make_chain(0)
    table = chain.filled(chain.batch(Origin.STUDENT))
    gate = switched(~student_tokens, student_tokens, at=at)
    steps = [bool(gate(table, PlanContext(step=s, total_steps=total)).all()) for s in range(total)]
    assert steps == [s >= first for s in range(total)]


def test_the_default_floor_is_that_of_a_mixture_of_a_tenth():
    assert REOPOLD().floor == pytest.approx(math.log(0.1) / 0.9, abs=2e-3)
    chain = make_chain(2)
    table = chain.filled(chain.batch(Origin.STUDENT)).with_tokens(
        teacher_logprob=torch.full_like(chain.filled(chain.batch(Origin.STUDENT))["teacher_logprob"], -torch.inf)
    )
    (plan,) = objective_of(REOPOLD()).plan(table, PlanContext())
    assert plan.terms[0].row_loss.advantage.tolist() == [[-2.56]] * table.num_tokens
