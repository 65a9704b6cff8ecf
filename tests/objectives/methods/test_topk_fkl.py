"""topk_fkl: forward KL on the teacher's top-k under each normalisation."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.divergence_claims import (
    at_visited_states,
    difference,
    forward_kl,
    on_own_text,
    renormalised,
    self_taught,
    with_tail,
)
from tests.objectives.oracle import make_chain, plan_loss
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.topk_fkl import TopKFKL
from understudy.rollouts import Origin
from understudy.tokens import Wide

FORMS = {
    "raw": lambda live, teacher: forward_kl(live, teacher),
    "target_renormalised": lambda live, teacher: forward_kl(live, renormalised(teacher)),
    "renormalised": lambda live, teacher: forward_kl(renormalised(live), renormalised(teacher)),
    "tail": lambda live, teacher: forward_kl(with_tail(live), with_tail(teacher)),
}


def on_top_k(form, k):
    def claim(live, teacher):
        ids = teacher.topk(k).indices
        return FORMS[form](live.gather(1, ids), teacher.gather(1, ids))

    return claim


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_expected_gradient_is_the_sum_over_the_top_k_of_the_widest_column(form, k):
    chain = make_chain(0, vocabulary=5, length=2)
    found = on_own_text(TopKFKL(top_k=k, normalisation=form, reduction="token_sum"), chain, k=3)
    claim = at_visited_states(on_top_k(form, k), chain)
    assert difference(found, claim) < 1e-9
    assert (k == 1 and form == "renormalised") or found.abs().max() > 1e-3  # one id renormalised is nothing


@pytest.mark.parametrize("form", ["raw", "target_renormalised", "renormalised"])
def test_the_whole_vocabulary_is_the_forward_kl_and_a_flipped_sign_would_be_noticed(form):
    chain = make_chain(1, vocabulary=5, length=2)
    found = on_own_text(TopKFKL(top_k=64, normalisation=form, reduction="token_sum"), chain, k=5)
    claim = at_visited_states(forward_kl, chain)
    assert difference(found, claim) < 1e-9
    assert difference(found, -claim) > 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_teacher_equal_to_student_is_at_rest_only_where_the_form_says_so(form):
    """Raw probabilities rest at T / m_T instead (identity 5), a renormalised target alike."""
    found = on_own_text(
        TopKFKL(normalisation=form, reduction="token_sum"), self_taught(make_chain(2, vocabulary=5, length=2)), k=3
    )
    assert (found.abs().max() < 1e-12) == (form in ("renormalised", "tail"))


@pytest.mark.parametrize("form", FORMS)
def test_teacher_entries_without_mass_give_finite_numbers(form):
    chain = make_chain(3, vocabulary=5, length=2)
    table = chain.filled(chain.batch(Origin.STUDENT), k=3)
    top = table.wide_column("teacher_top_k")
    logprobs = top.logprobs.clone()
    logprobs[:, -1] = -torch.inf
    (plan,) = objective_of(TopKFKL(normalisation=form)).plan(
        table.with_wide(teacher_top_k=Wide(top.ids, logprobs)), PlanContext()
    )
    loss = plan_loss(plan, chain.logits[chain.state_rows()])
    assert torch.isfinite(loss) and torch.isfinite(torch.autograd.grad(loss, chain.logits)[0]).all()
