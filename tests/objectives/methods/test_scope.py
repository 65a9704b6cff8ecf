"""scope: each rollout on its own path, with a weight by perplexity worked out in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import pytest
import torch

from tests.objectives.groups import (
    Groups,
    expected_group_gradient,
    logprobs_of,
    make_rewards,
    policy_gradient_claim,
)
from tests.objectives.oracle import expected_gradient, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import student_tokens
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.scope import SCOPE
from understudy.objectives.weights import perplexity_in_group
from understudy.rollouts import Origin


def shares(scores: Sequence[float]) -> list[float]:
    return [score / sum(scores) for score in scores]


@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_expected_gradient_is_the_claimed_one(tau):
    """In a group of two a rollout shares its path with the other one or has it alone; weights are times two."""
    chain = make_chain(0)
    groups = Groups(chain, make_rewards(chain))
    perplexity = [[math.exp(-fmean(side)) for side in logprobs_of(groups, n)] for n in range(len(chain.sequences))]

    def advantage(i: int, j: int, *, swapped: bool = False) -> list[float]:
        side, sign = (0, 1) if groups.rewards[i] > 0.5 else (1, -1)
        alone = (groups.rewards[i] > 0.5) != (groups.rewards[j] > 0.5)
        power = (-sign if swapped else sign) / tau
        weight = 2 * (1.0 if alone else shares([perplexity[n][side] ** power for n in (i, j)])[0])
        student, teacher = logprobs_of(groups, i)
        return [weight * (1.0 if side == 0 else t - s) for t, s in zip(teacher, student, strict=True)]

    objective = objective_of(SCOPE(tau=tau, reduction="token_sum"))
    found = expected_group_gradient(objective, groups)
    assert (found - policy_gradient_claim(groups, advantage)).abs().max() < 1e-9
    wrong = policy_gradient_claim(groups, lambda i, j: advantage(i, j, swapped=True))
    assert (found - wrong).abs().max() > 1e-3


def test_unsolved_rollouts_of_a_teacher_that_equals_the_student_give_exactly_zero():
    chain = make_chain(2)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    found = expected_gradient(  # nothing decided these rollouts
        objective_of(SCOPE(reduction="token_sum")),
        chain,
        origin=Origin.STUDENT,
        probability=torch.ones(len(chain.sequences)),
    )
    assert torch.equal(found, torch.zeros_like(found))


def test_weights_by_hand():
    """Perplexities 2, 4 and 8 in a group of four with an empty rollout: shares 1/7, 2/7, 4/7, times four."""
    probe = make_probe(rollouts_of([[2], [1], [3], []], per_group=4))
    perplexity = torch.tensor([2.0, 2.0, 4.0, 8.0, 8.0, 8.0], dtype=torch.float64)
    table = probe.table.with_tokens(student_logprob=-perplexity.log(), teacher_logprob=-perplexity.log())
    up = perplexity_in_group("student", power=1.0, among=student_tokens)(table, PlanContext())
    assert up.tolist() == pytest.approx([4 / 7, 4 / 7, 8 / 7, 16 / 7, 16 / 7, 16 / 7])
    down = perplexity_in_group("teacher", power=-2.0, among=student_tokens)(table, PlanContext())
    total = 1 / 4 + 1 / 16 + 1 / 64
    assert down.tolist() == pytest.approx([4 / p / total for p in (4, 4, 16, 64, 64, 64)])
    nobody = perplexity_in_group("teacher", power=1.0, among=~student_tokens)(table, PlanContext())
    assert nobody.tolist() == [0.0] * 6


def test_a_teacher_without_mass_weighs_nothing_and_is_never_nan():
    probe = make_probe(rollouts_of([[2], [3], [2], [3]]))
    table = probe.table.with_tokens(teacher_logprob=probe.table["teacher_logprob"].clone())
    table["teacher_logprob"][0] = -torch.inf
    down = perplexity_in_group("teacher", power=-1.0, among=student_tokens)(table, PlanContext())
    assert down[:2].max() < 1e-6 and torch.isfinite(down).all()
    (plan,) = objective_of(SCOPE()).plan(table, PlanContext())
    assert torch.isfinite(probe.gradient([plan])).all()


def test_the_mean_over_rollouts_is_the_printed_sum_over_a_group_averaged_over_groups():
    rollouts = rollouts_of([[3, 5], [4], [2, 2], [6], [3], []])
    for rollout, correct in zip(rollouts, [True, True, False, True, None, None], strict=True):
        object.__setattr__(rollout, "correct", correct)
    probe = make_probe(rollouts, drift=0.0)
    table, student, teacher = probe.table, probe.table["student_logprob"], probe.table["teacher_logprob"]

    def loss(live):
        total = 0
        for members in ([0, 1], [2, 3], [4]):
            rows = {n: table["rollout"] == n for n in members}
            for solved in (True, False):
                path = [n for n in members if (rollouts[n].correct is True) == solved]
                column, power = (student, 1) if solved else (teacher, -1)
                weights = shares([math.exp(-power * float(column[rows[n]].mean())) for n in path]) if path else []
                for weight, n in zip(weights, path, strict=True):
                    signal = 1 if solved else (teacher - student)[rows[n]]
                    total = total - weight * (signal * probe.at_token(live)[rows[n]]).mean()
        return total / 3

    (plan,) = objective_of(SCOPE()).plan(table, PlanContext())
    # The mean leaves the empty rollout out: 5 rollouts stand for 6 attempts.
    assert (probe.gradient([plan]) * 5 / 6 - probe.claimed(loss)).abs().max() < 1e-12
    check_on_ranks(objective_of(SCOPE()), probe)
