"""opd: its expected gradient is that of the reverse KL its docstring names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.objectives.oracle import Chain, expected_gradient, gradient_of, make_chain, plan_loss, rollout_of
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import every_token
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.objective import Objective
from understudy.objectives.signals import discounted_to_go, teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import batch_of


def per_state_reverse_kl(chain: Chain):
    reach, teacher = chain.reach(chain.logits).detach(), chain.teacher.log_softmax(1)

    def claim(logits: Tensor) -> Tensor:
        live = logits.log_softmax(1)
        return (reach * (live.exp() * (live - teacher)).sum(1)).sum()

    return claim


def sequence_reverse_kl(chain: Chain):
    def claim(logits: Tensor) -> Tensor:
        student, teacher = chain.sequence_logprob(logits), chain.sequence_logprob(chain.teacher)
        return (student.exp() * (student - teacher)).sum()

    return claim


@pytest.mark.parametrize(("discount", "claim"), [(0.0, per_state_reverse_kl), (1.0, sequence_reverse_kl)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_expected_gradient_is_the_claimed_one(discount, claim, seed):
    chain = make_chain(seed)
    objective = objective_of(OPD(discount=discount, reduction="token_sum"))
    probability = chain.sequence_logprob(chain.logits).exp()
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability)
    assert (found - gradient_of(claim(chain), chain)).abs().max() < 1e-9


def test_the_coefficient_scales_the_gradient():
    chain = make_chain(0)
    probability = chain.sequence_logprob(chain.logits).exp()

    def gradient(coefficient: float) -> Tensor:
        objective = objective_of(OPD(reduction="token_sum", coefficient=coefficient))
        return expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability)

    torch.testing.assert_close(gradient(3.0), 3 * gradient(1.0))


def test_a_flipped_sign_would_be_noticed():
    chain = make_chain(0)
    objective = objective_of(OPD(reduction="token_sum"))
    probability = chain.sequence_logprob(chain.logits).exp()
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability)
    assert (found + gradient_of(per_state_reverse_kl(chain), chain)).abs().max() > 1e-3


@pytest.mark.parametrize("discount", [0.0, 0.5, 1.0])
def test_teacher_equal_to_student_gives_exactly_zero(discount):
    chain = make_chain(3)
    # Equal up to the rounding between cached decoding and prefill.
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    objective = objective_of(OPD(discount=discount, reduction="token_sum"))
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=torch.ones(len(chain.sequences)))
    assert torch.equal(found, torch.zeros_like(found))


def test_discount_by_hand():
    signal = torch.tensor([1.0, 2.0, 4.0, 8.0], dtype=torch.float64)
    rollout, index = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0])
    found = discounted_to_go(signal, gamma=0.5, rollout=rollout, index=index)
    assert found.tolist() == [1 + 1 + 1, 2 + 2, 4, 8]


def test_a_discount_gives_nothing_to_tokens_the_student_did_not_choose():
    """A teacher prefix before the student's part: masked before and after the sum."""
    mixed = rollout_of([1, 2, 1, 2], key=0, group=0, origin=Origin.STUDENT)
    mixed.turns[0].origin[:2] = Origin.TEACHER
    batch = batch_of([mixed], contexts_of([mixed]))
    teacher = torch.tensor([-1.0, -1.0, -1.0, -1.0], dtype=torch.float64)
    table = batch.table.with_tokens(teacher_logprob=teacher, student_logprob=teacher * 2, behaviour_logprob=teacher * 2)
    (plan,) = objective_of(OPD(discount=1.0)).plan(table, PlanContext())
    assert plan.terms[0].rows.tolist() == [2, 3]
    assert plan.terms[0].row_loss.advantage[:, 0].tolist() == [2.0, 1.0]


def test_what_a_teacher_wrote_in_between_adds_nothing_to_the_student_s_sum():
    """The student's first token hears of its own last one, a step of time further on, and of nothing between."""
    mixed = rollout_of([1, 2, 1, 2], key=0, group=0, origin=Origin.STUDENT)
    mixed.turns[0].origin[1:3] = Origin.TEACHER
    batch = batch_of([mixed], contexts_of([mixed]))
    ratio = torch.tensor([1.0, 50.0, -7.0, 8.0], dtype=torch.float64)
    student = torch.full((4,), -90.0, dtype=torch.float64)  # no log-prob, but no floor is met either
    table = batch.table.with_tokens(teacher_logprob=student + ratio, student_logprob=student, behaviour_logprob=student)
    (plan,) = objective_of(OPD(discount=0.5)).plan(table, PlanContext())
    assert plan.terms[0].rows.tolist() == [0, 3]
    assert plan.terms[0].row_loss.advantage[:, 0].tolist() == [1.0 + 8.0 / 8, 8.0]


def test_no_gate_gives_a_policy_gradient_the_tokens_of_others():
    mixed = rollout_of([1, 2, 1], key=0, group=0, origin=Origin.STUDENT)
    mixed.turns[0].origin[1] = Origin.DATA
    table = batch_of([mixed], contexts_of([mixed])).table
    logprob = torch.tensor([-1.0, -1.0, -1.0], dtype=torch.float64)
    table = table.with_tokens(teacher_logprob=logprob, student_logprob=2 * logprob, behaviour_logprob=2 * logprob)
    objective = Objective({"policy": policy_gradient(signal=teacher_log_ratio(), gate=every_token)})
    (plan,) = objective.plan(table, PlanContext())
    assert plan.terms[0].rows.tolist() == [0, 2]


def test_token_mean_divides_by_the_response_tokens_and_token_sum_does_not():
    chain = make_chain(4)
    batch = chain.batch(Origin.STUDENT)
    table = chain.filled(batch)
    (mean,) = objective_of(OPD()).plan(table, PlanContext())
    (total,) = objective_of(OPD(reduction="token_sum")).plan(table, PlanContext())
    rows = chain.state_rows()
    assert torch.allclose(
        plan_loss(mean, chain.logits[rows]) * table.num_tokens, plan_loss(total, chain.logits[rows]), atol=1e-12
    )
