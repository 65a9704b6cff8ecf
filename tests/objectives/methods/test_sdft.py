"""sdft: cross-entropy with the renormalised top-k of the self that saw a demonstration, but for the first tokens."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.divergence_claims import (
    at_visited_states,
    difference,
    on_own_text,
    renormalised,
    reverse_kl,
    self_taught,
)
from tests.objectives.oracle import make_chain
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.sdft import SDFT
from understudy.rollouts import Origin


def cross_entropy(live, teacher, k):
    ids = teacher.topk(k).indices
    return -(renormalised(teacher.gather(1, ids)).exp() * live.gather(1, ids)).sum(1)


def after(skip, chain, loss):
    """The loss at states that lie at least ``skip`` tokens in."""
    late = torch.tensor([len(prefix) >= skip for prefix in chain.prefixes])
    return lambda live, teacher: late * loss(live, teacher)


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_expected_gradient_is_the_cross_entropy_after_the_first_tokens(skip):
    chain = make_chain(0, vocabulary=4, length=3)
    found = on_own_text(SDFT(skip_first=skip, top_k=2, reduction="token_sum"), chain, k=3)
    claim = at_visited_states(after(skip, chain, lambda live, teacher: cross_entropy(live, teacher, 2)), chain)
    assert difference(found, claim) < 1e-9
    assert difference(found, -claim) > 1e-3


def test_the_sampled_mode_follows_the_reverse_kl_after_the_first_tokens():
    chain = make_chain(1, vocabulary=4, length=3)
    found = on_own_text(SDFT(mode="sampled", skip_first=1, reduction="token_sum"), chain)
    assert difference(found, at_visited_states(after(1, chain, reverse_kl), chain)) < 1e-9


def test_by_default_three_tokens_are_left_out():
    chain = make_chain(2, length=5)
    table = chain.filled(chain.batch(Origin.STUDENT))
    (plan,) = objective_of(SDFT()).plan(table, PlanContext())
    assert plan.terms[0].rows.tolist() == (table["index_in_rollout"] >= 3).nonzero()[:, 0].tolist()
    assert plan.terms[0].rows.numel() > 0


def test_teacher_equal_to_student():
    """The sampled mode is exactly at rest; the cross-entropy only with the whole vocabulary (identity 5)."""
    chain = self_taught(make_chain(3, vocabulary=4, length=2))
    sampled = on_own_text(SDFT(mode="sampled", skip_first=0, reduction="token_sum"), chain)
    assert torch.equal(sampled, torch.zeros_like(sampled))
    whole = on_own_text(SDFT(skip_first=0, reduction="token_sum"), chain, k=4)
    part = on_own_text(SDFT(skip_first=0, reduction="token_sum"), chain, k=2)
    assert whole.abs().max() < 1e-12 and part.abs().max() > 1e-3
