"""opsd: the divergence to the self that read the solution; the view itself is the teacher's business."""

from __future__ import annotations

from functools import partial

import pytest

from tests.objectives.divergence_claims import (
    at_visited_states,
    difference,
    jsd,
    on_own_text,
    renormalised,
    reverse_kl,
    self_taught,
)
from tests.objectives.oracle import make_chain
from understudy.objectives.methods.opsd import OPSD


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 1.0])
def test_expected_gradient_is_the_divergence_over_the_vocabulary(beta):
    chain = make_chain(0, vocabulary=5, length=2)
    found = on_own_text(OPSD(beta=beta, reduction="token_sum"), chain)
    claim = at_visited_states(partial(jsd, beta=beta), chain)
    assert difference(found, claim) < 1e-9
    assert difference(found, -claim) > 1e-3


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_the_top_k_mode_renormalises_both_sides(beta):
    chain = make_chain(1, vocabulary=5, length=2)

    def claim(live, teacher):
        ids = teacher.topk(3).indices
        return jsd(renormalised(live.gather(1, ids)), renormalised(teacher.gather(1, ids)), beta=beta)

    found = on_own_text(OPSD(mode="top_k", beta=beta, reduction="token_sum"), chain, k=3)
    assert difference(found, at_visited_states(claim, chain)) < 1e-9
    whole = on_own_text(OPSD(mode="top_k", beta=beta, reduction="token_sum"), chain, k=5)
    assert difference(whole, on_own_text(OPSD(beta=beta, reduction="token_sum"), chain)) < 1e-9


def test_the_sampled_mode_follows_the_reverse_kl():
    chain = make_chain(2, vocabulary=5, length=2)
    found = on_own_text(OPSD(mode="sampled", reduction="token_sum"), chain)
    assert difference(found, at_visited_states(reverse_kl, chain)) < 1e-9


@pytest.mark.parametrize("mode", ["vocabulary", "top_k", "sampled"])
def test_teacher_equal_to_student_gives_zero(mode):
    found = on_own_text(OPSD(mode=mode, reduction="token_sum"), self_taught(make_chain(3)))
    assert found.abs().max() < 1e-12
