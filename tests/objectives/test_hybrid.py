"""What a plan tells of an advantage in two parts and of its turns' weights, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.objectives.probes import Probe, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.hybrid import Halves, TurnWeights
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.atod import ATOD
from understudy.objectives.methods.grpo import GRPO
from understudy.objectives.methods.sod import SOD
from understudy.objectives.objective import plan_columns
from understudy.tokens import TokenTable
from understudy.world import SingleProcess


def two_rollouts(*, rewards: tuple[float, float] = (1.0, 0.0)) -> TokenTable:
    """One group: a rollout of turns of 2, 2 and 2 tokens, one of a single turn of 2, with these drifts."""
    probe: Probe = make_probe(rollouts_of([[2, 2, 2], [2]]))
    student = -torch.tensor([3.0, 5.0, 1.0, 3.0, 2.0, 4.0, 7.0, 7.0], dtype=torch.float64)
    drift = torch.tensor([1.0, -1.0, 4.0, 2.0, -3.0, 1.0, 2.0, 0.0], dtype=torch.float64)
    table = probe.table.with_tokens(student_logprob=student, teacher_logprob=student + drift)
    rollouts = {**table.rollouts, "reward": torch.tensor(rewards), "group": torch.zeros(2, dtype=torch.int64)}
    return replace(table, rollouts=rollouts)


STEP = PlanContext(step=2, total_steps=10)
CONFIG = ATOD(coef_anneal_steps=4)  # at step 2 kappa and rho are 0.55


def test_coefficients_sizes_and_ratio_by_hand():
    """w = 1, 1, 3/4 and 3/4 a turn (test_atod), so |w drift| = 1 1 4 2 9/4 3/4 3/2 0: 12.5 in all, over 8 tokens.

    Rewards 1 and 0 have advantages of plus and minus 1/sqrt(2), as everywhere with two attempts.
    """
    (plan,) = objective_of(CONFIG).plan(two_rollouts(), STEP)
    figures = plan.statistics
    assert figures["hybrid/kl_coef"] == pytest.approx(0.55) and figures["hybrid/rl_coef"] == pytest.approx(0.55)
    assert figures["hybrid/opd_abs_mean"] == pytest.approx(0.55 * 12.5 / 8)
    assert figures["hybrid/rl_abs_mean"] == pytest.approx(0.55 / 2**0.5, rel=1e-5)
    assert figures["hybrid/opd_rl_ratio"] == pytest.approx(12.5 / 8 * 2**0.5, rel=1e-5)


def test_turn_weights_by_hand():
    (plan,) = objective_of(CONFIG).plan(two_rollouts(), STEP)
    assert plan.statistics["tdur/mean_weight"] == pytest.approx((1 + 1 + 0.75 + 0.75) / 4)
    assert plan.statistics["tdur/active_ratio"] == 1.0
    table = two_rollouts()
    flat = table.with_tokens(teacher_logprob=table["student_logprob"] + torch.tensor([0, 0, 1, 1, 2, 2, 0, 0]))
    (plan,) = objective_of(CONFIG).plan(flat, STEP)  # d~ = 0, 1/2, 1, 1/2 and h~ = 1, 0, 1/2, 1/2
    assert plan.statistics["tdur/mean_weight"] == pytest.approx((1 + 0.5 + 1 + 0.75) / 4)
    assert plan.statistics["tdur/active_ratio"] == 3 / 4, "a weight of one half is not above it"


def test_weights_of_tokens_are_told_by_their_turns_mean():
    (plan,) = objective_of(atod_by("token")).plan(two_rollouts(), STEP)
    weights = plan.terms[0].told["turn_weight"]
    assert weights[0] != weights[1], "tokens of one turn differ"
    expected = [float(weights[i : i + 2].mean()) for i in range(0, 8, 2)]
    assert plan.statistics["tdur/mean_weight"] == pytest.approx(sum(expected) / 4)


def atod_by(weight: str) -> ATOD:
    return ATOD(coef_anneal_steps=4, weight=weight)


def test_equal_rewards_leave_no_ratio():
    (plan,) = objective_of(CONFIG).plan(two_rollouts(rewards=(1.0, 1.0)), STEP)
    assert plan.statistics["hybrid/rl_abs_mean"] == 0.0 and "hybrid/opd_rl_ratio" not in plan.statistics


def test_methods_without_two_parts_or_weights_tell_nothing_of_them():
    (plan,) = objective_of(GRPO(beta=0)).plan(two_rollouts(), STEP)
    assert not [name for name in plan.statistics if name.startswith(("hybrid/", "tdur/"))]
    (plan,) = objective_of(atod_by("none")).plan(two_rollouts(), STEP)
    assert "hybrid/opd_rl_ratio" in plan.statistics and "tdur/mean_weight" not in plan.statistics
    (plan,) = objective_of(SOD()).plan(two_rollouts(), STEP)  # d = 1, 3, 2 and 1
    assert plan.statistics["step_ratio/mean_weight"] == pytest.approx((1 + 1 / 3 + 1 / 2 + 1) / 4, rel=1e-5)


def test_the_told_columns_add_up_to_the_advantage():
    table = two_rollouts()
    (plan,) = objective_of(CONFIG).plan(table, STEP)
    columns = plan_columns(plan, table.num_tokens)
    total = columns["policy/distillation"] + columns["policy/reward"]
    torch.testing.assert_close(total, columns["policy/advantage"])
    assert columns["policy/turn_weight"].tolist() == [1, 1, 1, 1, 0.75, 0.75, 0.75, 0.75]


def test_parts_of_an_advantage_are_told_of_the_kept_tokens_alone():
    """Of an update that has two of the four tokens: (1 + 3) / 2 and (0 + 4) / 2."""
    column = torch.tensor([1.0, -7.0, -3.0, 9.0])
    reward = torch.tensor([0.0, 5.0, 4.0, 5.0])
    kept = torch.tensor([True, False, True, False])
    figures = Halves(column, reward, kl_coef=0.5, rl_coef=0.25).figures(kept, SingleProcess())
    assert figures == {
        "hybrid/kl_coef": 0.5,
        "hybrid/rl_coef": 0.25,
        "hybrid/opd_abs_mean": 2.0,
        "hybrid/rl_abs_mean": 2.0,
        "hybrid/opd_rl_ratio": 1.0,
    }


def test_a_long_turn_counts_once():
    """Turns of one and of three tokens: (0.2 + 1) / 2, and one of two is active; by tokens it would be 0.8 and 3/4."""
    table = make_probe(rollouts_of([[1, 3]])).table
    weights = TurnWeights("tdur", torch.tensor([0.2, 1.0, 1.0, 1.0], dtype=torch.float64))
    figures = weights.figures(table, torch.ones(4, dtype=torch.bool), SingleProcess())
    assert figures == pytest.approx({"tdur/mean_weight": 0.6, "tdur/active_ratio": 0.5})
