"""gkd: full-vocabulary divergences, from forward KL (beta 0) to reverse KL (beta 1)."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from understudy.objectives.methods import GKD, objective_of
from understudy.rollouts import Origin


def claimed(beta, teacher, live):
    if beta == 0:
        return (teacher.exp() * (teacher - live)).sum(1)
    if beta == 1:
        return (live.exp() * (live - teacher)).sum(1)
    middle = (beta * teacher.exp() + (1 - beta) * live.exp()).log()
    forward, reverse = (teacher.exp() * (teacher - middle)).sum(1), (live.exp() * (live - middle)).sum(1)
    return beta * forward + (1 - beta) * reverse


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_expected_gradient_is_the_divergence_at_the_visited_states(beta):
    chain = make_chain(5)
    probability = chain.sequence_logprob(chain.logits).exp()
    objective = objective_of(GKD(beta=beta, reduction="token_sum"))
    found = expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability)
    reach, teacher = chain.reach(chain.logits).detach(), chain.teacher.log_softmax(1)
    claim = gradient_of(lambda logits: (reach * claimed(beta, teacher, logits.log_softmax(1))).sum(), chain)
    assert (found - claim).abs().max() < 1e-9


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_teacher_equal_to_student_gives_zero(beta):
    chain = make_chain(6)
    chain.teacher = chain.logits.detach().clone()
    objective = objective_of(GKD(beta=beta, reduction="token_sum"))
    found = expected_gradient(objective, chain, origin=Origin.DATA, probability=torch.ones(len(chain.sequences)))
    assert found.abs().max() < 1e-12


def test_lmbda_is_the_student_share_of_the_mix():
    mix = objective_of(GKD(lmbda=0.3)).mix
    assert (mix.student, mix.teacher) == (0.3, 0.0)
    assert mix.data == pytest.approx(0.7)
