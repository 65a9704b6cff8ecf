"""rlsd: the reward's sign, the teacher's size, worked out in plain Python."""

from __future__ import annotations

import math

import pytest
import torch

from tests.objectives.groups import (
    Groups,
    expected_group_gradient,
    logprobs_of,
    make_rewards,
    policy_gradient_claim,
    standardised,
)
from tests.objectives.oracle import expected_gradient, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.grpo import GRPO
from understudy.objectives.methods.rlsd import RLSD
from understudy.objectives.needs import requires
from understudy.objectives.weights import signed_teacher_ratio
from understudy.rollouts import Origin


@pytest.mark.parametrize("epsilon", [0.2, 0.6])
def test_expected_gradient_is_the_claimed_one(epsilon):
    chain = make_chain(0)
    groups = Groups(chain, make_rewards(chain))

    def advantage(i: int, j: int, *, flipped: bool = False) -> list[float]:
        a = standardised(groups, i, j)
        sign = math.copysign(1.0, a) * (-1 if flipped else 1) if a else 0.0
        student, teacher = logprobs_of(groups, i)
        ratios = [math.exp(sign * (t - s)) for t, s in zip(teacher, student, strict=True)]
        return [a * min(max(u, 1 - epsilon), 1 + epsilon) for u in ratios]

    found = expected_group_gradient(objective_of(RLSD(weight_epsilon=epsilon, reduction="token_sum")), groups)
    assert (found - policy_gradient_claim(groups, advantage)).abs().max() < 1e-9
    wrong = policy_gradient_claim(groups, lambda i, j: advantage(i, j, flipped=True))
    assert (found - wrong).abs().max() > 1e-3


def test_a_teacher_that_equals_the_student_leaves_grpo():
    chain = make_chain(1)
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    groups = Groups(chain, make_rewards(chain))
    ours = expected_group_gradient(objective_of(RLSD(reduction="token_sum")), groups)
    assert torch.equal(ours, expected_group_gradient(objective_of(GRPO(reduction="token_sum")), groups))
    alone = expected_gradient(
        objective_of(RLSD(reduction="token_sum")),
        chain,
        origin=Origin.STUDENT,
        probability=torch.ones(len(chain.sequences)),
    )
    assert torch.equal(alone, torch.zeros_like(alone))  # groups of one


def test_the_weight_by_hand():
    """u = 1.1, 2, 0.9 and no mass at all, once rewarded and once punished; eps 0.2."""
    probe = make_probe(rollouts_of([[4], [4], [4]]))
    student = torch.full((12,), -120.0, dtype=torch.float64)
    gap = torch.tensor([1.1, 2.0, 0.9, 0.0], dtype=torch.float64).log().repeat(3)
    table = probe.table.with_tokens(student_logprob=student, teacher_logprob=student + gap)
    table = table.with_tokens(teacher_logprob=torch.where(gap == -torch.inf, -torch.inf, table["teacher_logprob"]))
    sign = torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)
    fixed = requires()(lambda t, _: 3 * sign[t["rollout"]])
    table = table.with_tokens(
        student_logprob=table["student_logprob"] + 119, teacher_logprob=table["teacher_logprob"] + 119
    )
    found = signed_teacher_ratio(fixed, epsilon=0.2)(table, PlanContext())
    assert found[:4].tolist() == pytest.approx([1.1, 1.2, 0.9, 0.8])
    assert found[4:8].tolist() == pytest.approx([1 / 1.1, 0.8, 1 / 0.9, 1.2])
    assert found[8:].tolist() == [1.0] * 4


def test_two_ranks_plan_what_one_does():
    (found,) = check_on_ranks(objective_of(RLSD()), make_probe(rollouts_of([[3, 5], [4], [2, 2], []]), drift=0.5))
    assert found.abs().max() > 1e-3
