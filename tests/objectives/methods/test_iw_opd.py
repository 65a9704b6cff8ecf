"""iw_opd: weights that fall with what has gone amiss before, each rollout by its own."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.claims import distance, on_policy, sampled_loss
from tests.objectives.oracle import expected_gradient, make_chain, rollout_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.iw_opd import IWOPD
from understudy.objectives.positions import remaining_disagreement
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import batch_of


def weighted(gamma, *, sign=1):
    def advantage(ratio, sequence):
        before = torch.cat([torch.zeros(1, dtype=torch.float64), ratio.abs().cumsum(0)[:-1]])
        return sign * (1 + gamma * (1 - before / ratio.abs().sum())) * ratio

    return advantage


@pytest.mark.parametrize(("seed", "gamma"), [(0, 0.5), (1, 0.5), (2, 2.0)])
def test_expected_gradient_is_that_of_the_weighted_sum_over_rollouts(seed, gamma):
    chain = make_chain(seed)
    found = on_policy(IWOPD(gamma=gamma, reduction="token_sum"), chain)
    assert distance(found, sampled_loss(chain, weighted(gamma))) < 1e-9
    assert distance(found, sampled_loss(chain, weighted(gamma, sign=-1))) > 1e-3
    assert distance(found, sampled_loss(chain, weighted(0.0))) > 1e-3


def test_gamma_zero_is_opd_and_an_equal_teacher_gives_exactly_zero():
    chain = make_chain(3)
    plain = on_policy(IWOPD(gamma=0.0, reduction="token_sum"), chain)
    assert torch.equal(plain, on_policy(OPD(reduction="token_sum"), chain))
    chain.teacher = chain.logits.detach() + 1e-6 * torch.randn(chain.logits.shape, dtype=torch.float64)
    found = expected_gradient(
        objective_of(IWOPD(reduction="token_sum")),
        chain,
        origin=Origin.STUDENT,
        probability=torch.ones(len(chain.sequences)),
    )
    assert torch.equal(found, torch.zeros_like(found))


def test_weights_by_hand_count_the_student_s_own_tokens_only():
    mixed = rollout_of([1, 2, 1, 2, 1], key=0, group=0, origin=Origin.STUDENT)
    mixed.turns[0].origin[:2] = Origin.TEACHER
    agreed = rollout_of([1, 2], key=1, group=0, origin=Origin.STUDENT)
    table = batch_of([mixed, agreed], contexts_of([mixed, agreed])).table
    student = torch.full((7,), -3.0, dtype=torch.float64)
    teacher = student + torch.tensor([50.0, -50.0, 1.0, -2.0, 1.0, 0.0, 0.0])
    table = table.with_tokens(teacher_logprob=teacher, student_logprob=student)
    weights = remaining_disagreement(0.5)(table, PlanContext())
    assert weights[2:].tolist() == pytest.approx([1.5, 1 + 0.5 * 3 / 4, 1 + 0.5 * 1 / 4, 1.5, 1.5])
