"""distillm: skewed divergences on a mix of the student's and other text."""

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
from tests.objectives.oracle import expected_gradient, gradient_of, make_chain
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.distillm import DistiLLM
from understudy.rollouts import Origin


def skl(live, teacher, alpha=0.1):
    return forward_kl((alpha * teacher.exp() + (1 - alpha) * live.exp()).log(), teacher)


def srkl(live, teacher, alpha=0.1):
    return reverse_kl(live, ((1 - alpha) * teacher.exp() + alpha * live.exp()).log())


@pytest.mark.parametrize(("kind", "claim"), [("skl", skl), ("srkl", srkl), ("contrastive", srkl)])
def test_expected_gradient_on_own_text(kind, claim):
    chain = make_chain(0, vocabulary=4, length=2)
    found = on_own_text(DistiLLM(kind=kind, reduction="token_sum"), chain)
    assert difference(found, at_visited_states(claim, chain)) < 1e-9
    assert difference(found, -at_visited_states(claim, chain)) > 1e-3


@pytest.mark.parametrize(("kind", "claim"), [("skl", skl), ("srkl", srkl), ("contrastive", skl)])
@pytest.mark.parametrize("origin", [Origin.DATA, Origin.TEACHER])
def test_gradient_on_text_of_others(kind, claim, origin):
    chain = make_chain(1, vocabulary=4, length=2)
    probability = torch.rand(len(chain.sequences), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    config = DistiLLM(kind=kind, reduction="token_sum")
    found = expected_gradient(objective_of(config), chain, origin=origin, probability=probability)
    rows, sizes = chain.state_rows(), torch.tensor([len(s) for s in chain.sequences])
    weight = probability.repeat_interleave(sizes)

    def loss(logits):
        return (weight * claim(logits.log_softmax(1)[rows], chain.teacher.log_softmax(1)[rows])).sum()

    assert difference(found, gradient_of(loss, chain)) < 1e-9


@pytest.mark.parametrize(("kind", "claim"), [("skl", forward_kl), ("srkl", reverse_kl)])
def test_without_skew_they_are_the_divergences_themselves(kind, claim):
    chain = make_chain(2, vocabulary=4, length=2)
    found = on_own_text(DistiLLM(kind=kind, alpha=0.0, reduction="token_sum"), chain)
    assert difference(found, at_visited_states(claim, chain)) < 1e-9


@pytest.mark.parametrize("kind", ["skl", "srkl", "contrastive"])
def test_teacher_equal_to_student_gives_zero(kind):
    found = on_own_text(DistiLLM(kind=kind, reduction="token_sum"), self_taught(make_chain(3)))
    assert found.abs().max() < 1e-12


def test_the_mix_follows_the_share_and_its_writer():
    by_data = objective_of(DistiLLM(off_policy_share=0.25)).mix
    by_teacher = objective_of(DistiLLM(off_policy_share=0.25, off_policy_text="teacher")).mix
    assert (by_data.student, by_data.data, by_data.teacher) == (0.75, 0.25, 0.0)
    assert (by_teacher.student, by_teacher.data, by_teacher.teacher) == (0.75, 0.0, 0.25)
