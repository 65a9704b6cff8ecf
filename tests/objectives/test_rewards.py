"""Reward advantages: hand-computed values, groups without a difference, rollouts without tokens or grade."""

from __future__ import annotations

import pytest
import torch

from tests.objectives.probes import make_probe, rollouts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.rewards import centred_by_group, group_advantage, group_size

GROUPS = torch.tensor([4, 9, 4, 4, 9, 2])


def advantages(rewards: list[float | None], lengths: list[list[int]], *, per_group: int, kind: str) -> list[float]:
    """One a rollout with tokens."""
    rollouts = rollouts_of(lengths, per_group=per_group)
    for rollout, reward in zip(rollouts, rewards, strict=True):
        object.__setattr__(rollout, "reward", reward)
    table = make_probe(rollouts).table
    column = group_advantage(kind=kind)(table, PlanContext())
    return [float(column[table["rollout"] == n][0]) for n, row in enumerate(lengths) if row]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("centred", [2, -1, -1]),
        ("leave_one_out", [3, -1.5, -1.5]),  # 3 - (0 + 0) / 2 and 0 - (3 + 0) / 2
        ("std", [2 / 3**0.5, -1 / 3**0.5, -1 / 3**0.5]),  # variance (4 + 1 + 1) / 2
    ],
)
def test_values_by_hand(kind, expected):
    assert advantages([3, 0, 0], [[2], [1], [4]], per_group=3, kind=kind) == pytest.approx(expected, abs=2e-6)


def test_an_empty_or_ungraded_rollout_counts_as_a_reward_of_nothing():
    assert advantages([4, None, None, 2], [[2], [], [1], [1]], per_group=4, kind="centred") == [2.5, -1.5, 0.5]


def test_a_group_of_one_and_a_group_of_equals_have_no_advantage():
    for kind in ("std", "centred", "leave_one_out"):
        assert advantages([0.1, 0.1, 0.1, 7.0], [[2], [1], [3], [1]], per_group=3, kind=kind) == [0.0] * 4


def test_the_mean_of_equals_leaves_nothing_over():
    """Three times 0.1 over 3 is another number than 0.1, and a standard deviation of its rounding would be a one."""
    values = torch.full((3,), 0.1, dtype=torch.float64)
    assert float(values.sum() / 3) != 0.1
    centred, deviation = centred_by_group(values, torch.zeros(3, dtype=torch.int64))
    assert centred.tolist() == deviation.tolist() == [0.0] * 3


def test_statistics_of_groups_in_any_order():
    values = torch.tensor([1.0, 5.0, 3.0, 8.0, 9.0, 2.0], dtype=torch.float64)
    centred, deviation = centred_by_group(values, GROUPS)
    assert centred.tolist() == [-3, -2, -1, 4, 2, 0]
    assert deviation.tolist() == pytest.approx([13**0.5, 8**0.5, 13**0.5, 13**0.5, 8**0.5, 0])
    assert group_size(GROUPS).tolist() == [3, 2, 3, 3, 2, 1]


def test_no_rollouts_give_no_advantages():
    centred, deviation = centred_by_group(torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert centred.shape == deviation.shape == (0,)
