"""Batches without anything to learn from, for every method that mixes rewards, turns or teachers: exactly zero."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import METHODS, objective_of
from understudy.rollouts import Origin

LENGTHS = [[3, 5], [4], [2, 2], [6], [], [1, 1, 1]]
CONTEXT = PlanContext(step=1, total_steps=3)
NAMES = {"atod", "grpo", "kdrl", "mopd", "rlsd", "scope", "sdar", "sod", "tcod"}
CONFIGS = [config for config in METHODS if config.model_fields["method"].default in NAMES]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("reduction", ["token_mean", "sequence_mean_turn_mean_token_mean"])
def test_tokens_that_the_student_did_not_choose_give_exactly_zero(config, reduction):
    rollouts = rollouts_of(LENGTHS)
    for rollout in rollouts:
        for turn in rollout.turns:
            turn.origin[:] = Origin.TEACHER
    probe = make_probe(rollouts)
    (plan,) = objective_of(config(reduction=reduction)).plan(probe.table, CONTEXT)
    assert all(term.rows.numel() == 0 for term in plan.terms)
    assert torch.equal(probe.gradient([plan]), torch.zeros_like(probe.weight))
    assert all(value == value or name.endswith(("p05", "p95")) for name, value in plan.statistics.items())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.__name__)
def test_equal_rewards_and_a_teacher_that_equals_the_student_leave_no_policy_gradient(config):
    probe = make_probe([replace(rollout, reward=0.3, correct=False) for rollout in rollouts_of(LENGTHS)])
    probe.table = probe.table.with_tokens(teacher_logprob=probe.table["student_logprob"] + 1e-6)
    (plan,) = objective_of(config()).plan(probe.table, CONTEXT)
    for term in plan.terms:
        if term.name in ("policy", "distillation", "unsolved"):
            assert torch.equal(probe.gradient([replace(plan, terms=[term])]), torch.zeros_like(probe.weight))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.__name__)
def test_a_teacher_without_mass_on_a_token_gives_no_nan(config):
    probe = make_probe([replace(r, correct=r.key % 2 == 0) for r in rollouts_of(LENGTHS)])
    teacher = probe.table["teacher_logprob"].clone()
    teacher[::3] = -torch.inf
    probe.table = probe.table.with_tokens(teacher_logprob=teacher)
    (found,) = check_on_ranks(objective_of(config()), probe, context=CONTEXT)
    assert torch.isfinite(found).all()
