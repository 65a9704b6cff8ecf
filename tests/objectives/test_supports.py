"""Supports: which ids count, what is known at them, and what it costs."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.largest_tensor import LargestTensor
from tests.objectives.probes import make_probe, rollouts_of
from understudy.errors import MissingColumnError, ShapeError
from understudy.objectives.needs import Needs
from understudy.objectives.supports import (
    Candidates,
    contains,
    intersection,
    sampled_token,
    student_top_k,
    symmetric_difference,
    teacher_top_k,
    union,
)
from understudy.tokens import TokenTable, Wide


def table_by_hand() -> TokenTable:
    """Two rows: the student likes 5, 3, 7 and 2, 1, 0; the teacher 3, 9, 5 and 4, 6, 8. The tokens are 9 and 2."""
    own, other = torch.tensor([[5, 3, 7], [2, 1, 0]]), torch.tensor([[3, 9, 5], [4, 6, 8]])
    tokens = {"token_id": torch.tensor([9, 2]), "teacher_logprob": torch.tensor([-0.9, -20.0])}
    table = TokenTable({**tokens, "student_logprob": torch.tensor([-9.9, -0.2])}, turns={}, rollouts={})
    return table.with_wide(
        student_top_k=Wide(own, -own / 1.0),
        teacher_top_k=Wide(other, -other / 10.0),
        teacher_at_student_top_k=Wide(own, -own / 10.0),
        student_at_teacher_top_k=Wide(other, -other / 1.0),
    )


def counted(candidates: Candidates) -> list[list[int]]:
    return [ids[keep].tolist() for ids, keep in zip(candidates.ids, candidates.counted, strict=True)]


OWN, OTHER = student_top_k(3, student=True), teacher_top_k(3, student=True)


@pytest.mark.parametrize(
    ("support", "ids"),
    [
        (OWN, [[5, 3, 7], [2, 1, 0]]),
        (OTHER, [[3, 9, 5], [4, 6, 8]]),
        (union(OWN, OTHER), [[5, 3, 7, 9], [2, 1, 0, 4, 6, 8]]),
        (intersection(OWN, OTHER), [[5, 3], []]),
        (symmetric_difference(OWN, OTHER), [[7, 9], [2, 1, 0, 4, 6, 8]]),
        (union(OWN, sampled_token(student=True)), [[5, 3, 7, 9], [2, 1, 0]]),
        (union(OTHER, sampled_token(student=True)), [[3, 9, 5], [4, 6, 8, 2]]),
        (union(intersection(OWN, OTHER), OTHER), [[5, 3, 9], [4, 6, 8]]),
        (student_top_k(2, student=True), [[5, 3], [2, 1]]),
    ],
)
def test_ids_by_hand_and_the_log_probs_at_them(support, ids):
    candidates = support.candidates(table_by_hand())
    assert counted(candidates) == ids
    for column, scale in ((candidates.target, 10.0), (candidates.student, 1.0)):
        at_top = candidates.counted & (candidates.ids != 9) & (candidates.ids != 2)
        assert torch.allclose(column[at_top], -candidates.ids[at_top] / scale)


def test_the_sampled_token_brings_its_own_log_probs():
    candidates = union(teacher_top_k(3), sampled_token()).candidates(table_by_hand())
    assert candidates.target[1, 3] == -20.0 and candidates.student is None


def test_what_each_asks_of_the_scorers():
    assert union(student_top_k(4), teacher_top_k(7)).needs == Needs(
        top_k={"student": 4, "teacher": 7}, at_ids=frozenset({("teacher", "student_top_k")})
    )
    assert teacher_top_k(7, student=True).needs.at_ids == {("student", "teacher_top_k")}
    assert sampled_token().needs.columns == {"teacher_logprob"}


def test_a_column_that_is_missing_or_taken_elsewhere_is_refused():
    table = table_by_hand()
    with pytest.raises(MissingColumnError, match="reference_top_k"):
        teacher_top_k(3, scorer="reference").candidates(table)
    short = Wide(torch.tensor([[5], [2]]), torch.zeros(2, 1))
    with pytest.raises(ShapeError):
        student_top_k(3).candidates(table.with_wide(teacher_at_student_top_k=short))


def test_entries_that_do_not_count_are_in_no_set():
    own = Candidates(torch.tensor([[4, 2, 4]]), target=torch.zeros(1, 3), valid=torch.tensor([[True, False, False]]))
    assert contains(own, torch.tensor([[4, 2, 0]])).tolist() == [[True, False, False]]


def test_what_was_left_out_once_stays_out():
    ids = torch.tensor([[3, 5, 7]])
    chosen = Candidates(ids, target=torch.zeros(1, 3)).only(torch.tensor([[True, False, True]]))
    assert chosen.only(torch.tensor([[True, True, False]])).counted.tolist() == [[True, False, False]]


@pytest.mark.parametrize("combine", [union, intersection, symmetric_difference])
def test_no_tensor_is_larger_than_rows_times_both_widths(combine):
    rows, k = 50, 64
    ids = torch.stack([torch.randperm(1000)[:k] for _ in range(rows)])
    tokens = {"token_id": torch.zeros(rows, dtype=torch.int64)}
    table = TokenTable(tokens, turns={}, rollouts={}).with_wide(
        student_top_k=Wide(ids, torch.zeros(rows, k)),
        teacher_top_k=Wide(ids.flip(0), torch.zeros(rows, k)),
        teacher_at_student_top_k=Wide(ids, torch.zeros(rows, k)),
    )
    with LargestTensor() as largest:
        combine(student_top_k(k), teacher_top_k(k)).candidates(table)
    assert rows * k <= largest.values <= rows * 2 * k


def test_tables_without_rows_give_supports_without_rows():
    probe = make_probe(rollouts_of([[]]))
    candidates = union(student_top_k(4), teacher_top_k(4)).candidates(probe.table)
    assert candidates.ids.shape == candidates.counted.shape == (0, 8)
