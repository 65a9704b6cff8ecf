"""veto: towards T * S^beta, by a policy gradient and by a divergence, until beta is 0."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.divergence_claims import (
    at_visited_states,
    difference,
    forward_kl,
    on_own_text,
    reverse_kl,
    self_taught,
)
from tests.objectives.oracle import make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.methods.veto import Veto

CONTEXT = PlanContext(step=1, total_steps=5)  # a quarter of the way: beta 0.8 has become 0.6


def towards_the_product(divergence, beta):
    def claim(live, teacher):
        target = (teacher + beta * live.detach()).log_softmax(1)
        return divergence(live, target)

    return claim


@pytest.mark.parametrize(("direction", "divergence"), [("reverse", reverse_kl), ("forward", forward_kl)])
def test_expected_gradient_is_the_divergence_to_the_fixed_product(direction, divergence):
    chain = make_chain(0, vocabulary=5, length=2)
    found = on_own_text(Veto(direction=direction, reduction="token_sum"), chain, context=CONTEXT)
    claim = at_visited_states(towards_the_product(divergence, 0.6), chain)
    assert difference(found, claim) < 1e-9
    assert difference(found, -claim) > 1e-3
    assert difference(found, at_visited_states(towards_the_product(divergence, 0.8), chain)) > 1e-3


@pytest.mark.parametrize(("direction", "divergence"), [("reverse", reverse_kl), ("forward", forward_kl)])
def test_at_the_last_step_it_is_the_teacher_alone(direction, divergence):
    chain = make_chain(1, vocabulary=5, length=2)
    last = PlanContext(step=4, total_steps=5)
    found = on_own_text(Veto(direction=direction, reduction="token_sum"), chain, context=last)
    assert difference(found, at_visited_states(divergence, chain)) < 1e-9


@pytest.mark.parametrize("direction", ["reverse", "forward"])
def test_teacher_equal_to_student_is_at_rest_only_once_beta_is_0(direction):
    chain = self_taught(make_chain(2))
    config = Veto(direction=direction, reduction="token_sum")
    early = on_own_text(config, chain, context=CONTEXT)
    late = on_own_text(config, chain, context=PlanContext(step=4, total_steps=5))
    assert late.abs().max() < 1e-12 and early.abs().max() > 1e-3
    if direction == "reverse":
        assert torch.equal(late, torch.zeros_like(late))


def test_a_frozen_exponent_would_rest_at_a_sharpened_teacher():
    """KL(S||q) with q ~ T * S^0.5 is stationary where S is T^2 normalised: why beta must fall."""
    chain = make_chain(3, vocabulary=4, length=1)
    chain.logits = (2 * chain.teacher.log_softmax(1)).log_softmax(1).requires_grad_()
    found = on_own_text(Veto(beta=0.5, reduction="token_sum"), chain, context=PlanContext(step=0, total_steps=5))
    assert found.abs().max() < 1e-12
