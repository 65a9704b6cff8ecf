"""sod: step weights worked out in plain Python, and the product that telescopes into them."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
import torch

from tests.objectives.groups import (
    Groups,
    expected_group_gradient,
    logprobs_of,
    make_rewards,
    policy_gradient_claim,
    standardised,
    turns_of,
)
from tests.objectives.oracle import expected_gradient, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.sod import SOD
from understudy.objectives.turns import step_ratio
from understudy.rollouts import Origin


def drifts(parts: list[list[int]], student: list[float], teacher: list[float]) -> list[float]:
    return [fmean(abs(teacher[t] - student[t]) for t in part) for part in parts]


def product_weights(d: list[float], *, epsilon: float, excess: float) -> list[float]:
    """As the paper writes it: a product over the earlier steps, then the bound."""
    quotients = [(d[u] + epsilon) / (d[u + 1] + epsilon) for u in range(len(d) - 1)]
    return [min(math.prod(quotients[:k]), 1 + excess) for k in range(len(d))]


@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_is_the_claimed_one(seed):
    chain = make_chain(seed)
    groups = Groups(chain, make_rewards(chain), first_turn=1)
    config = SOD(coefficient=0.7, reduction="token_sum")

    def advantage(i: int, j: int, *, weighted: bool = True) -> list[float]:
        student, teacher = logprobs_of(groups, i)
        turns = turns_of(groups, chain.sequences[i])
        of_turns = product_weights(drifts(turns, student, teacher), epsilon=1e-6, excess=0.2)
        weights = [w for w, turn in zip(of_turns, turns, strict=True) for _ in turn]
        return [
            standardised(groups, i, j) + 0.7 * (w if weighted else 1.0) * (t - s)
            for w, t, s in zip(weights, teacher, student, strict=True)
        ]

    found = expected_group_gradient(objective_of(config), groups)
    assert (found - policy_gradient_claim(groups, advantage)).abs().max() < 1e-9
    assert (found + policy_gradient_claim(groups, advantage)).abs().max() > 1e-3
    unweighted = policy_gradient_claim(groups, lambda i, j: advantage(i, j, weighted=False))
    assert (found - unweighted).abs().max() > 1e-3


def test_the_product_telescopes():
    """Seven turns of one token each with drifts of every size; the bound far away, then at 0.2."""
    probe = make_probe(rollouts_of([[1] * 7, [2]]))
    d = [0.5, 2.0, 0.1, 0.0, 3.0, 0.7, 0.5]
    student = -torch.arange(1.0, 10.0, dtype=torch.float64)
    drift = torch.tensor([x * (-1) ** k for k, x in enumerate(d)] + [1.0, 1.0], dtype=torch.float64)
    table = probe.table.with_tokens(student_logprob=student, teacher_logprob=student + drift)
    for epsilon, excess in ((1e-3, 1e9), (1e-6, 0.2)):
        found = step_ratio(epsilon=epsilon, excess=excess)(table, PlanContext())
        expected = [*product_weights(d, epsilon=epsilon, excess=excess), 1.0, 1.0]
        assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert found.tolist()[:7] == pytest.approx([1, 0.25, 1.2, 1.2, 1 / 6, 5 / 7, 1], rel=1e-5)


def test_the_first_step_is_the_first_in_which_the_student_spoke():
    probe = make_probe(rollouts_of([[2, 1, 1], [1]]))
    probe.table["origin"][:2] = Origin.TEACHER  # a turn that an expert played
    student = torch.zeros(5, dtype=torch.float64)
    teacher = torch.tensor([9.0, 9.0, 1.0, 2.0, 5.0], dtype=torch.float64)
    table = probe.table.with_tokens(student_logprob=student, teacher_logprob=teacher)
    assert step_ratio(epsilon=1e-9)(table, PlanContext()).tolist()[2:] == pytest.approx([1, 0.5, 1])


def test_a_teacher_that_equals_the_student_leaves_the_reward_alone():
    chain = make_chain(3)
    chain.teacher = chain.logits.detach().clone()
    objective = objective_of(SOD(reduction="token_sum"))
    alone = expected_gradient(
        objective, chain, origin=Origin.STUDENT, probability=torch.ones(len(chain.sequences))
    )  # groups of one
    assert torch.equal(alone, torch.zeros_like(alone))
    groups = Groups(chain, make_rewards(chain), first_turn=1)
    claim = policy_gradient_claim(groups, lambda i, j: [standardised(groups, i, j)] * len(chain.sequences[i]))
    assert (expected_group_gradient(objective, groups) - claim).abs().max() < 1e-9


def test_two_ranks_plan_what_one_does():
    probe = make_probe(rollouts_of([[3, 5, 2], [4], [2, 2], [6, 1, 3, 2], [5, 4], []]), drift=0.5)
    (found,) = check_on_ranks(objective_of(SOD()), probe)
    assert found.abs().max() > 1e-3
