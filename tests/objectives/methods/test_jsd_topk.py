"""jsd_topk: the loss as TrOPD prints it and the divergence itself, each against its own claim."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from tests.objectives.divergence_claims import at_visited_states, difference, jsd, on_own_text, self_taught
from tests.objectives.oracle import make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.jsd_topk import JSDTopK
from understudy.rollouts import Origin


def middle_of(live, teacher, beta):
    return (beta * teacher.exp() + (1 - beta) * live.exp()).log()


def printed(beta, k):
    def claim(live, teacher):
        middle = middle_of(live, teacher, beta)
        ids = teacher.topk(k).indices
        forward = (teacher.exp() * (teacher - middle)).gather(1, ids).sum(1)
        sampled = (live.exp() * (live - middle).detach()).sum(1)
        return beta * forward + (1 - beta) * sampled

    return claim


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_as_printed_is_the_printed_sum(beta, k):
    chain = make_chain(0, vocabulary=5, length=2)
    found = on_own_text(JSDTopK(beta=beta, top_k=k, reduction="token_sum"), chain, k=5)
    assert difference(found, at_visited_states(printed(beta, k), chain)) < 1e-9


@pytest.mark.parametrize("beta", [0.2, 0.5, 0.9])
def test_exact_is_the_divergence_and_asks_for_the_sampled_token_alone(beta):
    chain = make_chain(1, vocabulary=5, length=2)
    config = JSDTopK(beta=beta, form="exact", reduction="token_sum")
    claim = at_visited_states(lambda live, teacher: jsd(live, teacher, beta=beta), chain)
    assert difference(on_own_text(config, chain), claim) < 1e-9
    assert difference(on_own_text(config, chain), -claim) > 1e-3
    assert objective_of(config).needs.describe() == ["student_logprob", "teacher_logprob"]


def test_even_on_the_whole_vocabulary_the_printed_form_has_one_term_too_much():
    """-beta (1 - beta) sum_v T S / m grad log S, which cancels in the divergence."""
    beta, chain = 0.5, make_chain(2, vocabulary=5, length=2)
    found = on_own_text(JSDTopK(beta=beta, reduction="token_sum"), chain, k=5)
    exact = at_visited_states(lambda live, teacher: jsd(live, teacher, beta=beta), chain)

    def surplus(live, teacher):
        weight = (teacher + live - middle_of(live, teacher, beta)).exp().detach()
        return -beta * (1 - beta) * (weight * live).sum(1)

    assert difference(found - exact, at_visited_states(surplus, chain)) < 1e-9
    assert difference(found, exact) > 1e-3


def test_teacher_equal_to_student_gives_exactly_zero_in_the_exact_form():
    chain = self_taught(make_chain(3))
    found = on_own_text(JSDTopK(form="exact", reduction="token_sum"), chain)
    assert torch.equal(found, torch.zeros_like(found))
    whole = on_own_text(JSDTopK(reduction="token_sum"), chain, k=3)
    assert whole.abs().max() < 1e-12


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_ends_are_other_methods(beta):
    with pytest.raises(ValidationError):
        JSDTopK(beta=beta)


def test_a_teacher_without_mass_at_the_token_leaves_the_bound():
    chain = make_chain(4)
    table = chain.filled(chain.batch(Origin.STUDENT))
    table = table.with_tokens(teacher_logprob=torch.full_like(table["teacher_logprob"], -torch.inf))
    (plan,) = objective_of(JSDTopK(beta=0.25, form="exact")).plan(table, PlanContext())
    expected = torch.full((table.num_tokens, 1), 0.75 * math.log(0.75), dtype=torch.float64)
    assert torch.allclose(plan.terms[0].row_loss.advantage, expected, atol=1e-12)
