"""opcd: reverse KL on the student's top-k, raw with its known surplus, and the cures."""

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
    with_tail,
)
from tests.objectives.oracle import make_chain
from tests.objectives.probes import check_on_ranks, make_probe, rollouts_of
from understudy.objectives.methods import objective_of
from understudy.objectives.methods.opcd import OPCD

FORMS = {
    "raw": reverse_kl,
    "renormalised": lambda live, teacher: reverse_kl(renormalised(live), renormalised(teacher)),
    "tail": lambda live, teacher: reverse_kl(with_tail(live), with_tail(teacher)),
    "detached_log": lambda live, teacher: (live.exp() * (live - teacher).detach()).sum(1),
}


@pytest.mark.parametrize("form", FORMS)
def test_expected_gradient_is_the_sum_over_the_student_s_top_k(form):
    chain = make_chain(0, vocabulary=6, length=2)

    def claim(live, teacher):
        ids = live.detach().topk(3).indices
        return FORMS[form](live.gather(1, ids), teacher.gather(1, ids))

    found = on_own_text(OPCD(top_k=3, normalisation=form, reduction="token_sum"), chain, k=4)
    assert difference(found, at_visited_states(claim, chain)) < 1e-9
    assert difference(found, -at_visited_states(claim, chain)) > 1e-3


@pytest.mark.parametrize("form", ["raw", "renormalised", "detached_log"])
def test_the_whole_vocabulary_is_the_reverse_kl(form):
    chain = make_chain(1, vocabulary=5, length=2)
    found = on_own_text(OPCD(normalisation=form, reduction="token_sum"), chain, k=5)
    assert difference(found, at_visited_states(reverse_kl, chain)) < 1e-9


def test_the_teacher_s_top_k_joins_and_no_id_counts_twice():
    chain = make_chain(2, vocabulary=6, length=2)

    def claim(live, teacher):
        rows = []
        for l, t in zip(live, teacher, strict=True):
            ids = sorted({*l.topk(2).indices.tolist(), *t.topk(2).indices.tolist()})
            rows.append((l[ids].exp() * (l[ids] - t[ids])).sum())
        return torch.stack(rows)

    found = on_own_text(OPCD(top_k=2, with_teacher_top_k=True, reduction="token_sum"), chain, k=2)
    assert difference(found, at_visited_states(claim, chain)) < 1e-9


@pytest.mark.parametrize("form", FORMS)
def test_teacher_equal_to_student_is_at_rest_unless_raw_leaves_tokens_out(form):
    """Identity 6: the raw form then still moves mass out of the top-k."""
    found = on_own_text(
        OPCD(normalisation=form, reduction="token_sum"), self_taught(make_chain(3, vocabulary=6, length=2)), k=3
    )
    assert (found.abs().max() < 1e-12) == (form != "raw")


def test_each_rollout_is_divided_by_its_own_length():
    probe = make_probe(rollouts_of([[4], [6], [3], [5]]))
    (found,) = check_on_ranks(objective_of(OPCD()), probe)
    ids = probe.table.wide_column("student_top_k").ids
    lengths = probe.table.rollouts["num_tokens"][probe.table["rollout"]]

    def loss(live):
        return (reverse_kl(live.gather(1, ids), probe.teacher.gather(1, ids)) / lengths).sum() / 4

    assert difference(found, probe.claimed(loss)) < 1e-12
