"""The parts of a batch that several updates of a step take: whole groups, alike, some of every rank in each."""

from __future__ import annotations

import pytest
import torch

from tests.fake_world import on_ranks
from tests.objectives.probes import rollouts_of
from understudy.objectives.objective import split_by_group
from understudy.rollouts import Rollout, contexts_of
from understudy.tokens import TokenTable, batch_of
from understudy.world import SingleProcess


def table_of(rollouts: list[Rollout]) -> TokenTable:
    return batch_of(rollouts, contexts_of(rollouts)).table


def parts_of(table: TokenTable, part: torch.Tensor) -> dict[int, set[int]]:
    """The parts in which each group has a row."""
    groups = table.rollouts["group"][table["rollout"]]
    return {int(group): set(part[groups == group].tolist()) for group in groups.unique()}


@pytest.mark.parametrize(
    ("num_groups", "num_parts", "expected"),
    [
        (6, 1, [0, 0, 0, 0, 0, 0]),
        (6, 2, [0, 0, 0, 1, 1, 1]),
        (6, 3, [0, 0, 1, 1, 2, 2]),
        (5, 2, [0, 0, 0, 1, 1]),
        (7, 4, [0, 0, 1, 1, 2, 2, 3]),
        (2, 4, [0, 2]),
        (1, 3, [0]),
    ],
)
def test_neighbouring_groups_go_together_and_parts_are_alike(num_groups, num_parts, expected):
    table = table_of(rollouts_of([[2], [1]] * num_groups))
    found = parts_of(table, split_by_group(table, num_parts, world=SingleProcess()))
    assert found == {group: {part} for group, part in enumerate(expected)}


def test_every_update_has_some_of_every_rank_and_of_every_data_set_that_take_turns():
    """Of two ranks one makes the even groups; of a mixture in turns the even groups are of one data set."""
    rollouts = rollouts_of([[2], [1]] * 12)
    whole = table_of(rollouts)
    alone = parts_of(whole, split_by_group(whole, 2, world=SingleProcess()))

    def work(rank, world):
        mine = table_of([one for one in rollouts if one.group % 2 == rank])
        return parts_of(mine, split_by_group(mine, 2, world=world))

    by_rank = on_ranks(work, 2)
    assert by_rank[0] | by_rank[1] == alone
    for parts in by_rank:
        assert sorted(part for found in parts.values() for part in found) == [0, 0, 0, 1, 1, 1]


def test_groups_that_were_carried_over_are_counted_as_they_come():
    """Their numbers are far from the others'; a rank without any takes part all the same."""
    rollouts = [one for one in rollouts_of([[1]] * 40, per_group=1) if one.group in (0, 3, 4, 17, 38, 39)]

    def work(rank, world):
        mine = table_of(rollouts if rank else [])
        return parts_of(mine, split_by_group(mine, 3, world=world))

    assert on_ranks(work, 2) == [{}, {0: {0}, 3: {0}, 4: {1}, 17: {1}, 38: {2}, 39: {2}}]


def test_ranks_of_unlike_shares_count_all_groups_together():
    rollouts = rollouts_of([[1]] * 6, per_group=1)

    def work(rank, world):
        mine = table_of(rollouts[1:] if rank else rollouts[:1])
        return parts_of(mine, split_by_group(mine, 3, world=world))

    assert on_ranks(work, 2) == [{0: {0}}, {1: {0}, 2: {1}, 3: {1}, 4: {2}, 5: {2}}]
