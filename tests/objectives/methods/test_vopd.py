"""vopd: the gradient of opd with less noise."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.divergence_claims import at_visited_states, difference, on_own_text, reverse_kl, self_taught
from tests.objectives.oracle import make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.vopd import VOPD
from understudy.rollouts import Origin


@pytest.mark.parametrize("baseline", ["exact", "top_k"])
@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_is_the_reverse_kl_whatever_the_baseline(baseline, seed):
    chain = make_chain(seed, vocabulary=5, length=2)
    found = on_own_text(VOPD(baseline=baseline, reduction="token_sum"), chain, k=2)
    claim = at_visited_states(reverse_kl, chain)
    assert difference(found, claim) < 1e-9
    assert difference(found, -claim) > 1e-3


def advantages(config, chain, *, k):
    """[N] advantages, and each row's probability given its state."""
    table = chain.filled(chain.batch(Origin.STUDENT), k=k)
    (plan,) = objective_of(config).plan(table, PlanContext())
    return table, plan.terms[0].row_loss.advantage[:, 0]


def test_the_exact_baseline_makes_each_state_s_advantage_zero_in_the_mean():
    chain = make_chain(2, vocabulary=5, length=1)  # one state, one row a token
    table, found = advantages(VOPD(), chain, k=2)
    probability = table["student_logprob"].exp()
    assert probability.sum() == pytest.approx(1)
    assert abs(float((probability * found).sum())) < 1e-12
    plain = advantages(OPD(), chain, k=2)[1]
    assert abs(float((probability * plain).sum())) > 0.1
    assert (probability * found.square()).sum() < (probability * plain.square()).sum()


def test_the_top_k_baseline_by_hand():
    chain = make_chain(3, vocabulary=5, length=1)
    student, teacher = chain.logits.detach().log_softmax(1)[0], chain.teacher.log_softmax(1)[0]
    ids = student.topk(2).indices
    partial = (student[ids].exp() * (student[ids] - teacher[ids])).sum()
    table, found = advantages(VOPD(baseline="top_k", top_k=2), chain, k=3)
    expected = (teacher - student + partial)[table["token_id"]]
    assert difference(found, expected) < 1e-12


@pytest.mark.parametrize("baseline", ["exact", "top_k"])
def test_teacher_equal_to_student_up_to_rounding_gives_exactly_zero(baseline):
    chain = self_taught(make_chain(4))
    chain.teacher = chain.teacher + 1e-6 * torch.randn(chain.teacher.shape, dtype=torch.float64)
    found = on_own_text(VOPD(baseline=baseline, reduction="token_sum"), chain)
    assert torch.equal(found, torch.zeros_like(found))


def test_a_teacher_without_mass_somewhere_gives_a_finite_baseline():
    chain = make_chain(5, vocabulary=5, length=1)
    chain.teacher[:, 2] = -torch.inf
    for baseline in ("exact", "top_k"):
        _, found = advantages(VOPD(baseline=baseline), chain, k=5)
        assert torch.isfinite(found).all()
