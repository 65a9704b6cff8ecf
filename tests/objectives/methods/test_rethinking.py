"""rethinking: one advantage a candidate, on five supports and with three weights."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.divergence_claims import at_visited_states, difference, on_own_text, reverse_kl, self_taught
from tests.objectives.oracle import make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.rethinking import Rethinking
from understudy.objectives.row_losses import evaluate
from understudy.rollouts import Origin

SETS = {
    "only_stu": lambda own, other: own,
    "only_tch": lambda own, other: other,
    "intersection": set.intersection,
    "union": set.union,
    "symmetric_difference": set.symmetric_difference,
}


def candidate_claim(support, weight, k):
    """-sum over the set of w_v (log T_v - log S_v) log S_v, all but the last factor constant; state by state."""

    def claim(live, teacher):
        fixed, rows = live.detach(), []
        for l, s, t in zip(live, fixed, teacher, strict=True):
            ids = sorted(SETS[support](set(s.topk(k).indices.tolist()), set(t.topk(k).indices.tolist())))
            shares = {"student": s[ids].softmax(0), "teacher": t[ids].softmax(0), "none": torch.ones(len(ids))}
            rows.append(-(shares[weight] * (t[ids] - s[ids]) * l[ids]).sum())
        return torch.stack(rows)

    return claim


@pytest.mark.parametrize("support", SETS)
@pytest.mark.parametrize("weight", ["student", "teacher", "none"])
def test_expected_gradient_is_the_sum_over_the_candidates(support, weight):
    chain = make_chain(0, vocabulary=6, length=2)
    found = on_own_text(Rethinking(top_k=3, support=support, weight=weight, reduction="token_sum"), chain, k=4)
    claim = at_visited_states(candidate_claim(support, weight, 3), chain)
    assert difference(found, claim) < 1e-9
    assert difference(found, -claim) > 1e-3


def test_the_supports_differ_here():
    chain = make_chain(0, vocabulary=6, length=2)
    gradients = [on_own_text(Rethinking(top_k=3, support=s, reduction="token_sum"), chain, k=3) for s in SETS]
    for i, one in enumerate(gradients):
        assert all(difference(one, other) > 1e-3 for other in gradients[:i])


def test_all_candidates_with_the_student_s_weight_are_the_reverse_kl():
    chain = make_chain(1, vocabulary=5, length=2)
    found = on_own_text(Rethinking(reduction="token_sum"), chain, k=5)
    assert difference(found, at_visited_states(reverse_kl, chain)) < 1e-9


@pytest.mark.parametrize("support", SETS)
def test_teacher_equal_to_student_gives_exactly_zero(support):
    found = on_own_text(Rethinking(support=support, reduction="token_sum"), self_taught(make_chain(2)))
    assert torch.equal(found, torch.zeros_like(found))


def test_each_candidate_has_its_own_clip():
    """A candidate whose probability rose above 1.2 of what it was gets no more of a positive advantage."""
    chain = make_chain(3, vocabulary=5, length=2)
    table = chain.filled(chain.batch(Origin.STUDENT), k=3)
    (plan,) = objective_of(Rethinking(top_k=3)).plan(table, PlanContext())
    (term,) = plan.terms
    advantage = term.row_loss.advantage
    moved = (term.row_loss.old_logprob + 0.5 * torch.tensor([1.0, -1.0, 0.1])).requires_grad_()
    (gradient,) = torch.autograd.grad(evaluate(term.row_loss, moved, valid=term.support.valid).sum(), moved)
    rho = torch.tensor([0.5, -0.5, 0.05], dtype=torch.float64).exp()
    flat = ((advantage > 0) & (rho > 1.2)) | ((advantage < 0) & (rho < 0.8))
    assert flat.any() and not flat.all()
    assert torch.allclose(gradient, -advantage * rho * ~flat, atol=1e-12)


def test_rows_whose_supports_do_not_meet_count_nothing():
    chain = make_chain(4, vocabulary=6, length=1)
    chain.logits = torch.tensor([[5.0, 4, 0, 0, 0, 0]], dtype=torch.float64).requires_grad_()
    chain.teacher = torch.tensor([[0.0, 0, 0, 0, 4, 5]], dtype=torch.float64)
    found = on_own_text(Rethinking(support="intersection", reduction="token_sum"), chain, k=2)
    assert torch.equal(found, torch.zeros_like(found))
    chain.teacher[:, 0] = 6.0
    assert on_own_text(Rethinking(support="intersection", reduction="token_sum"), chain, k=2).abs().max() > 1e-3
