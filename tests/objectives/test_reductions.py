"""Reductions: hand-computed weights, the same total on any number of ranks, nothing where nothing counts."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import student_tokens
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import Reduced, ReductionName, divided_by, reduction_named, token_sum
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.rollouts import Origin

NAMES = get_args(ReductionName)
LENGTHS = [[1, 3], [2], [], [2, 1, 1]]  # turns of the rollouts; 10 tokens, 6 turns

BY_HAND = {
    "token_mean": [1 / 10] * 10,
    "token_sum": [1.0] * 10,
    "turn_mean_token_mean": [1 / 6, *[1 / 18] * 3, *[1 / 12] * 2, *[1 / 12] * 2, 1 / 6, 1 / 6],
    "sequence_mean_token_mean": [*[1 / 12] * 4, *[1 / 6] * 2, *[1 / 12] * 4],
    "sequence_mean_token_sum": [1 / 3] * 10,
    "sequence_mean_turn_mean_token_mean": [
        1 / 6, *[1 / 18] * 3, *[1 / 6] * 2, *[1 / 18] * 2, 1 / 9, 1 / 9
    ],
}  # fmt: skip


def reduced_of(probe, gate=None) -> Reduced:
    every = torch.ones(probe.table.num_tokens, dtype=torch.bool)
    return Reduced(table=probe.table, counted=every, gate=every if gate is None else gate, context=PlanContext())


@pytest.mark.parametrize("name", NAMES)
def test_weights_by_hand(name):
    weights = reduction_named(name)(reduced_of(make_probe(rollouts_of(LENGTHS))))
    assert weights.tolist() == pytest.approx(BY_HAND[name], rel=1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "token_sum"])
def test_a_gated_denominator_counts_only_what_is_gated(name):
    """Without the first turn of the first rollout and the whole second rollout: 7 tokens, 4 turns, 2 rollouts."""
    probe = make_probe(rollouts_of(LENGTHS))
    gate = torch.tensor([False, True, True, True, False, False, True, True, True, True])
    expected = {
        "token_mean": [1 / 7] * 7,
        "turn_mean_token_mean": [*[1 / 12] * 3, *[1 / 8] * 2, 1 / 4, 1 / 4],
        "sequence_mean_token_mean": [*[1 / 6] * 3, *[1 / 8] * 4],
        "sequence_mean_token_sum": [1 / 2] * 7,
        "sequence_mean_turn_mean_token_mean": [*[1 / 6] * 3, *[1 / 12] * 2, 1 / 6, 1 / 6],
    }
    weights = reduction_named(name, denominator="gated")(reduced_of(probe, gate))
    assert weights[gate].tolist() == pytest.approx(expected[name], rel=1e-12)


@pytest.mark.parametrize("denominator", ["all", "gated"])
@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_weigh_as_one(name, denominator):
    rollouts = rollouts_of([[3, 5], [4], [2, 2, 1], [], [6], [1, 7]])
    rollouts[0].turns[0].origin[:] = Origin.TEACHER
    rollouts[5].turns[1].origin[:2] = Origin.TEACHER
    term = policy_gradient(signal=teacher_log_ratio(), gate=student_tokens)
    objective = Objective({"policy": term}, reduction=reduction_named(name, denominator=denominator))
    (found,) = check_on_ranks(objective, make_probe(rollouts))
    assert found.abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_nothing_counted_is_exactly_zero(name):
    probe = make_probe(rollouts_of(LENGTHS))
    weights = reduction_named(name)(
        Reduced(
            table=probe.table,
            counted=torch.zeros(10, dtype=torch.bool),
            gate=torch.ones(10, dtype=torch.bool),
            context=PlanContext(),
        )
    )
    assert weights.tolist() == [0.0] * 10


def test_a_constant_divides_whatever_the_batch_holds():
    probe = make_probe(rollouts_of(LENGTHS))
    assert divided_by(token_sum(), 8.0)(reduced_of(probe)).tolist() == [0.125] * 10
    config = OPD(reduction="sequence_mean_token_sum", reduction_constant=4.0)
    (plan,) = objective_of(config).plan(probe.table, PlanContext())
    assert plan.terms[0].weights.tolist() == pytest.approx([1 / 12] * 10)
