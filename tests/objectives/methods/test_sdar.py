"""sdar: the gate-weighted likelihood follows the frozen gate, beside GRPO and the reference."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.objectives.groups import Groups, expected_group_gradient, make_rewards, policy_gradient_claim, standardised
from tests.objectives.methods.test_grpo import reference_forward_kl
from tests.objectives.oracle import Chain, expected_gradient, gradient_of, make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.sdar import SDAR
from understudy.objectives.weights import teacher_sigmoid
from understudy.rollouts import Origin


def expected_gate(chain: Chain, *, coefficient: float, sharpness: float):
    reach = chain.reach(chain.logits).detach()
    gate = torch.sigmoid(sharpness * (chain.teacher.log_softmax(1) - chain.logits.detach().log_softmax(1)))

    def claim(logits: Tensor) -> Tensor:
        return -coefficient * (reach * (logits.softmax(1) * gate).sum(1)).sum()

    return claim


def test_expected_gradient_is_the_claimed_one():
    chain = make_chain(0)
    chain.reference = torch.randn(chain.logits.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    groups = Groups(chain, make_rewards(chain), first_turn=1)
    config = SDAR(coefficient=0.4, sharpness=2.0, beta=0.3, reduction="token_sum")
    found = expected_group_gradient(objective_of(config), groups)
    reward = policy_gradient_claim(groups, lambda i, j: [standardised(groups, i, j)] * len(chain.sequences[i]))
    gated = gradient_of(expected_gate(chain, coefficient=0.4, sharpness=2.0), chain)
    anchor = gradient_of(reference_forward_kl(chain, beta=0.3), chain)
    assert (found - (reward + 2 * gated + 2 * anchor)).abs().max() < 1e-9
    for wrong in (reward - 2 * gated + 2 * anchor, reward + 2 * gated - 2 * anchor, 2 * gated + 2 * anchor):
        assert (found - wrong).abs().max() > 1e-3


def test_a_teacher_that_equals_the_student_is_zero_in_expectation():
    chain = make_chain(1)
    chain.teacher = chain.logits.detach().clone()
    objective = objective_of(SDAR(beta=0, reduction="token_sum"))
    probability = chain.sequence_logprob(chain.logits).exp()
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability)
    assert found.abs().max() < 1e-12


def test_the_gate_by_hand():
    probe = make_probe(rollouts_of([[3]]))
    student = torch.full((3,), -2.0, dtype=torch.float64)
    teacher = torch.tensor([-2.0, -1.0, -torch.inf], dtype=torch.float64)
    table = probe.table.with_tokens(student_logprob=student, teacher_logprob=teacher)
    gate = teacher_sigmoid(5.0)(table, PlanContext())
    assert gate[:2].tolist() == [0.5, 1 / (1 + math.exp(-5.0))]
    assert 0 <= gate[2] < 1e-100  # a teacher without any mass closes it


def test_the_reference_is_needed_only_where_it_weighs_something():
    assert objective_of(SDAR()).needs.scorers() == {"student", "teacher", "reference"}
    assert objective_of(SDAR(beta=0)).needs.scorers() == {"student", "teacher"}


def test_two_ranks_plan_what_one_does():
    (found,) = check_on_ranks(objective_of(SDAR()), make_probe(rollouts_of([[3, 5], [4], [2, 2], []]), drift=0.5))
    assert found.abs().max() > 1e-3
