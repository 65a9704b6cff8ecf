"""Returns to go over the student's own tokens, and whitening over all ranks."""

from __future__ import annotations

import pytest
import torch

from tests.fake_world import on_ranks
from tests.objectives.oracle import rollout_of
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import data_tokens
from understudy.objectives.needs import requires
from understudy.objectives.returns import return_to_go, whitened
from understudy.objectives.shapes import clip
from understudy.rollouts import Origin, contexts_of
from understudy.tokens import TokenTable, batch_of


@requires("teacher_logprob")
def reward(table, _):
    return table["teacher_logprob"]


def table_of(*rewards, origins=None) -> TokenTable:
    rollouts = [rollout_of([1] * len(row), key=i, group=i, origin=Origin.STUDENT) for i, row in enumerate(rewards)]
    for rollout, row in zip(rollouts, origins or [], strict=False):
        rollout.turns[0].origin[:] = torch.tensor(row)
    table = batch_of(rollouts, contexts_of(rollouts)).table
    return table.with_tokens(teacher_logprob=torch.tensor([r for row in rewards for r in row], dtype=torch.float64))


def found(slot, table):
    return slot(table, PlanContext()).tolist()


def test_sums_and_means_by_hand():
    table = table_of([1.0, 2.0, 4.0], [8.0])
    assert found(return_to_go(reward), table) == [7, 6, 4, 8]
    assert found(return_to_go(reward, gamma=0.5), table) == [1 + 1 + 1, 2 + 2, 4, 8]
    assert found(return_to_go(reward, per_remaining_token=True), table) == pytest.approx([7 / 3, 3, 4, 8])
    assert found(return_to_go(reward, shape=clip(3.0)), table) == [1 + 2 + 3, 5, 3, 3]


def test_tokens_of_others_give_and_take_nothing():
    student, teacher = Origin.STUDENT, Origin.TEACHER
    table = table_of([100.0, 1.0, 100.0, 2.0], origins=[[teacher, student, teacher, student]])
    assert found(return_to_go(reward), table) == [0, 3, 0, 2]
    assert found(return_to_go(reward, per_remaining_token=True), table) == [0, 1.5, 0, 2]


def test_whitening_by_hand():
    table = table_of([1.0, 3.0], [5.0, 7.0])
    scaled = whitened(reward, epsilon=0.0)(table, PlanContext())
    assert torch.allclose(scaled, torch.tensor([-3.0, -1.0, 1.0, 3.0], dtype=torch.float64) / 5**0.5, atol=1e-12)
    assert found(whitened(reward), table_of([2.0, 2.0])) == [0, 0]
    assert found(whitened(reward, among=data_tokens), table) == [0, 0, 0, 0]


def test_whitening_knows_all_ranks():
    parts = [table_of([1.0, 3.0]), table_of([5.0], [7.0, -2.0, 0.5])]
    together = whitened(reward)(table_of([1.0, 3.0], [5.0], [7.0, -2.0, 0.5]), PlanContext())

    def work(rank, world):
        return whitened(reward)(parts[rank], PlanContext(world=world))

    assert torch.allclose(torch.cat(on_ranks(work, 2)), together, atol=1e-12)
