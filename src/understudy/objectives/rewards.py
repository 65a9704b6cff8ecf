"""Reward advantages: how much better a rollout was than the others of its group, the same for all of its tokens."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import Needs, requires
from understudy.tokens import TokenTable

AdvantageName = Literal["std", "centred", "leave_one_out"]
"""(r - mean) / std: GRPO. r - mean: Dr. GRPO. r - mean of the others: leave-one-out REINFORCE."""


def group_advantage(*, kind: AdvantageName = "std", epsilon: float = 1e-6) -> Slot:
    """The reward of a rollout against its group's, [N], the same for all of its tokens; 0 where all rewards are equal.

    Statistics come from the rollout table, so empty rollouts count; an ungraded rollout counts as reward 0. A group
    lives on one rank, so no statistic crosses ranks.

    Args:
        kind: ``std``: (reward - mean) / (standard deviation + epsilon). ``centred``: reward - mean.
            ``leave_one_out``: reward - mean of the group's other rewards.
        epsilon: added to the unbiased standard deviation.

    Source: std: Shao et al., arXiv:2402.03300, section 4.1.2. centred: Liu et al., arXiv:2503.20783.
        leave_one_out: Ahmadian et al., arXiv:2402.14740.
    """

    @requires(needs=Needs(graded=frozenset({"reward"})))
    def signal(table: TokenTable, _: PlanContext) -> Tensor:
        reward, group = table.rollouts["reward"].nan_to_num(nan=0.0), table.rollouts["group"]
        centred, deviation = centred_by_group(reward.double(), group)
        if kind == "std":
            centred = centred / (deviation + epsilon)
        if kind == "leave_one_out":
            count = group_size(group).double()
            centred = centred * count / (count - 1).clamp_min(1)
        return centred.to(reward.dtype)[table["rollout"]]

    return signal


def centred_by_group(
    values: Float[Tensor, "r"], group: Int[Tensor, "r"]
) -> tuple[Float[Tensor, "r"], Float[Tensor, "r"]]:
    """Values minus their group's mean, and their group's unbiased standard deviation (0 for a group of one).

    Both are exactly zero in a group of equal values: what a mean leaves over by rounding is no advantage.
    """
    _, member = group.unique(return_inverse=True)
    count = torch.bincount(member).to(values.dtype)
    mean = torch.zeros_like(count).index_add_(0, member, values) / count
    centred = torch.where(_all_equal(values, member), torch.zeros_like(values), values - mean[member])
    variance = torch.zeros_like(count).index_add_(0, member, centred.square()) / (count - 1).clamp_min(1)
    return centred, variance.sqrt()[member]


def group_size(group: Int[Tensor, "r"]) -> Int[Tensor, "r"]:
    """How many rollouts each rollout's group has, itself among them."""
    _, member = group.unique(return_inverse=True)
    return torch.bincount(member)[member]


def _all_equal(values: Float[Tensor, "r"], member: Int[Tensor, "r"]) -> Tensor:
    """[r] whether all values of the group are the same."""
    if values.numel() == 0:
        return torch.zeros(0, dtype=torch.bool)
    ends = torch.zeros(2, int(member.max()) + 1, dtype=values.dtype)
    low = ends[0].scatter_reduce(0, member, values, "amin", include_self=False)
    high = ends[1].scatter_reduce(0, member, values, "amax", include_self=False)
    return (low == high)[member]
