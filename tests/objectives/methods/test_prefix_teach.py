"""prefix_teach: margins, their means by sentence, the change point, and OPD before it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.objectives.claims import at_visited_states, distance, on_policy, reverse_kl, sampled_loss
from tests.objectives.oracle import expected_gradient, make_chain, rollout_of
from understudy.errors import RecipeError
from understudy.objectives.change_point import downward_change
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import OPD, objective_of
from understudy.objectives.methods.prefix_teach import PrefixTeach
from understudy.objectives.teachability import blocks, sentences, teachable_prefix, teacher_margin
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import Wide, batch_of


def change_of(series, *, shortest):
    """The criterion of arXiv:2605.13643 split by split: how many values stand before the drop."""
    n = len(series)

    def residue(values):
        mean = sum(values) / len(values)
        return sum((value - mean) ** 2 for value in values)

    def criterion(rss, penalty):
        return n * math.log(max(rss / n, 1e-12)) + penalty * math.log(n)

    splits = [
        (residue(series[:c]) + residue(series[c:]), c)
        for c in range(shortest, n - shortest + 1)
        if sum(series[:c]) / c > sum(series[c:]) / (n - c)
    ]
    if splits and criterion(min(splits)[0], 3) < criterion(residue(series), 1):
        return min(splits)[1]
    return n


@pytest.mark.parametrize(
    ("series", "before"),
    [
        ([0.9, 0.8, 0.9, 0.1, 0.2, 0.1], 3),
        ([0.1, 0.2, 0.1, 0.9, 0.8, 0.9], 6),  # it rises
        ([0.5, 0.5, 0.5, 0.5], 4),
        ([0.9, 0.1], 2),  # too short for two on either side
        ([0.9, 0.9, 0.9, 0.9, 0.1], 5),  # one low value at the end is no side
        ([0.9, 0.2, 0.8, 0.3, 0.7, 0.4], 6),  # it wavers
        ([], 0),
    ],
)
def test_change_points_by_hand(series, before):
    values = torch.tensor([series + [7.0] * (6 - len(series))], dtype=torch.float64)
    valid = torch.arange(6)[None] < len(series)
    assert downward_change(values, valid).tolist() == [before]


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.lists(st.floats(0, 1).map(lambda x: round(x, 3)), max_size=8), min_size=1, max_size=4),
    shortest=st.integers(1, 3),
)
def test_change_points_agree_with_the_formula_split_by_split(rows, shortest):
    width = max(map(len, rows))
    values = torch.tensor([row + [9.0] * (width - len(row)) for row in rows], dtype=torch.float64)
    valid = torch.arange(width)[None] < torch.tensor([len(row) for row in rows])[:, None]
    found = downward_change(values.reshape(len(rows), width), valid, shortest=shortest).tolist()
    for row, place in zip(rows, found, strict=True):
        expected = change_of(row, shortest=shortest) if row else 0
        if place != expected:  # two splits may tie up to rounding
            ties = [change_of([v + 1e-9 * i * s for i, v in enumerate(row)], shortest=shortest) for s in (-1, 1)]
            assert place in ties


def table_of(*sequences, ends=0):
    rollouts = [rollout_of(s, key=i, group=i, origin=Origin.STUDENT) for i, s in enumerate(sequences)]
    rollouts[0].turns[0].origin[:ends] = Origin.TEACHER
    return batch_of(rollouts, contexts_of(rollouts)).table


def test_sentences_and_blocks_by_hand():
    table = table_of([5, 1, 5, 2, 2, 5, 1], [1, 1], ends=1)  # the first 5 is a teacher's
    assert sentences([5])(table, PlanContext()).tolist() == [0, 0, 0, 1, 1, 1, 2, 0, 0]
    assert blocks(3)(table, PlanContext()).tolist()[1:] == [0, 0, 0, 1, 1, 1, 0, 0]
    with pytest.raises(RecipeError, match=r"sentence end '\.' has no id"):
        sentences([5, "."])(table, PlanContext())


def test_a_margin_is_between_the_teacher_s_two_favourites_among_the_student_s_candidates():
    table = table_of([1, 1])
    ids = torch.tensor([[3, 1, 2], [3, 1, 2]])
    student = Wide(ids, torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]]).log())
    probability = torch.tensor([[0.05, 0.6, 0.2], [0.0, 0.0, 0.3]])
    table = table.with_wide(student_top_k=student, teacher_at_student_top_k=Wide(ids, probability.log()))
    assert teacher_margin(3)(table, PlanContext()).tolist() == pytest.approx([0.4, 0.3])
    assert teacher_margin(2)(table, PlanContext()).tolist() == pytest.approx([0.55, 0.0])
    filler = Wide(ids, probability.log(), torch.tensor([[True, True, False], [True, True, False]]))
    assert teacher_margin(3)(table.with_wide(teacher_at_student_top_k=filler), PlanContext()).tolist() == (
        pytest.approx([0.55, 0.0])
    )


def test_the_gate_keeps_whole_sentences_of_the_student_s_up_to_the_drop():
    table = table_of([1, 5, 1, 5, 1, 5, 1, 1, 5], [1, 5, 1, 5], ends=1)  # the first word is a teacher's
    margin = torch.tensor([0.0, 0.7, 0.8, 0.8, 0.1, 0.2, 0.1, 0.2, 0.0, 0.1, 0.1, 0.9, 0.9])
    gate = teachable_prefix(lambda *_: margin, part=sentences([5]), shortest=1)
    # Means 0.7, 0.8 | 0.15, 0.1: cut after the second sentence; the second rollout rises and is kept.
    assert gate(table, PlanContext()).tolist() == [False] + [True] * 3 + [False] * 5 + [True] * 4


def margins(chain, k):
    student, teacher = chain.logits.detach().softmax(1), chain.teacher.softmax(1)
    best = teacher.gather(1, student.topk(k).indices).topk(2).values
    return best[:, 0] - best[:, 1]


@pytest.mark.parametrize("seed", [0, 1])
def test_expected_gradient_is_opd_up_to_each_rollout_s_own_cut(seed):
    chain = make_chain(seed, length=4)
    margin = margins(chain, 2)
    config = PrefixTeach(top_k=2, block_tokens=1, shortest=1, reduction="token_sum")
    cuts = []

    def kept(ratio, sequence):
        series = margin[[chain.row_of(sequence[:t]) for t in range(len(sequence))]].tolist()
        cuts.append(change_of(series, shortest=1) - len(series))
        return (torch.arange(len(sequence)) < change_of(series, shortest=1)) * ratio

    found, claim = on_policy(config, chain), sampled_loss(chain, kept)
    assert any(cuts) and not all(cuts)
    assert distance(found, claim) < 1e-9 and distance(found, -claim) > 1e-3
    assert distance(found, at_visited_states(chain, reverse_kl(chain))) > 1e-3


def test_where_nothing_is_cut_it_is_opd_and_an_equal_teacher_gives_exactly_zero():
    chain = make_chain(2)
    uncut = on_policy(PrefixTeach(top_k=2, reduction="token_sum"), chain)  # one block of 16 tokens
    assert torch.equal(uncut, on_policy(OPD(reduction="token_sum"), chain))
    chain.teacher = chain.logits.detach().clone()
    found = expected_gradient(
        objective_of(PrefixTeach(top_k=2, block_tokens=1, shortest=1, reduction="token_sum")),
        chain,
        origin=Origin.STUDENT,
        probability=torch.ones(len(chain.sequences)),
    )
    assert torch.equal(found, torch.zeros_like(found))


def test_sentence_ends_are_resolved_by_the_tokenizer():
    config = PrefixTeach(sentence_ends=(".", 7)).with_token_ids({".": 5}.__getitem__)
    assert config.sentence_ends == (5, 7)
