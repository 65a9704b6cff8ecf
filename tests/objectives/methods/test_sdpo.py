"""sdpo: the divergence on the student's top-k and a tail, weighed by how far the sampler is behind."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tests.objectives.divergence_claims import (
    at_visited_states,
    difference,
    jsd,
    on_own_text,
    reverse_kl,
    self_taught,
    with_tail,
)
from tests.objectives.oracle import make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.sdpo import SDPO


def on_student_top_k(live, teacher, *, k, beta):
    ids = live.detach().topk(k).indices
    return jsd(with_tail(live.gather(1, ids)), with_tail(teacher.gather(1, ids)), beta=beta)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_expected_gradient_is_the_divergence_with_a_tail_bucket(beta):
    chain = make_chain(0, vocabulary=6, length=2)
    found = on_own_text(SDPO(beta=beta, top_k=3, reduction="token_sum"), chain, k=4)
    claim = at_visited_states(partial(on_student_top_k, k=3, beta=beta), chain)
    assert difference(found, claim) < 1e-9
    assert difference(found, -claim) > 1e-3


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_all_but_one_token_and_the_tail_are_the_whole_divergence(beta):
    chain = make_chain(1, vocabulary=5, length=2)
    found = on_own_text(SDPO(beta=beta, reduction="token_sum"), chain, k=4)
    assert difference(found, at_visited_states(partial(jsd, beta=beta), chain)) < 1e-9


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_with_the_whole_vocabulary_the_empty_tail_changes_next_to_nothing(beta):
    chain = make_chain(1, vocabulary=5, length=2)
    found = on_own_text(SDPO(beta=beta, reduction="token_sum"), chain, k=5)
    assert difference(found, at_visited_states(partial(jsd, beta=beta), chain)) < 1e-9


def test_the_ratio_to_the_sampler_weighs_each_token_up_to_its_cap():
    probe = make_probe(rollouts_of([[4], [6], [3], [5], [7], [2]]), drift=1.0)
    table = probe.table
    ratio = (table["student_logprob"] - table["behaviour_logprob"]).exp()
    assert (ratio > 2).any() and (ratio < 1).any()

    def logits_loss(live):
        value = on_student_top_k(live, probe.teacher, k=4, beta=0.5)
        return (ratio.clamp(max=2) * value).sum() / table.num_tokens

    (found,) = check_on_ranks(objective_of(SDPO()), probe)
    assert difference(found, probe.claimed(logits_loss)) < 1e-10

    def sampled_loss(live):
        advantage = table["teacher_logprob"] - table["student_logprob"]
        return -(ratio.clamp(max=2) * advantage * probe.at_token(live)).sum() / table.num_tokens

    (sampled,) = check_on_ranks(objective_of(SDPO(mode="sampled")), probe)
    assert difference(sampled, probe.claimed(sampled_loss)) < 1e-12


def test_the_sampled_mode_follows_the_reverse_kl():
    chain = make_chain(2, vocabulary=5, length=2)
    found = on_own_text(SDPO(mode="sampled", reduction="token_sum"), chain)
    assert difference(found, at_visited_states(reverse_kl, chain)) < 1e-9


@pytest.mark.parametrize("mode", ["top_k", "sampled"])
def test_teacher_equal_to_student_gives_zero(mode):
    found = on_own_text(SDPO(mode=mode, reduction="token_sum"), self_taught(make_chain(3)))
    assert found.abs().max() < 1e-12
    assert mode == "top_k" or torch.equal(found, torch.zeros_like(found))
