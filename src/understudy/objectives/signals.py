"""Signals: what the teacher, the reference, or the reward says of each token; always constants."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import requires
from understudy.tokens import TokenTable

ROUNDING = 5e-5
"""Nats: cached decoding and prefill of the same weights differ by less than this in float32 (measured: 1.0e-5)."""


def teacher_log_ratio(*, rounding: float = ROUNDING, teacher_floor: float = -100.0) -> Slot:
    """A_t = log pi_T(y_t) - log pi_S(y_t), [N] nats: minus the k1 estimate of KL(S||T).

    Args:
        rounding: smaller ratios are exactly zero. Adam divides a gradient by its own size, so rounding alone
            would otherwise move a student that already equals its teacher.
        teacher_floor: teacher log-probs below it (a server's -inf) are raised to it.

    Source: tinker_cookbook/distillation/train_on_policy.py; docs/design/004-rounding.md.
    """

    @requires("teacher_logprob", "student_logprob")
    def signal(table: TokenTable, _: PlanContext) -> Tensor:
        ratio = table["teacher_logprob"].clamp_min(teacher_floor) - table["student_logprob"]
        return torch.where(ratio.abs() < rounding, torch.zeros_like(ratio), ratio)

    return signal


def group_advantage(*, divide_by_std: bool = True, epsilon: float = 1e-6) -> Slot:
    """GRPO's advantage of a rollout within its group, [N]: (reward - mean) / (std + epsilon), the same for its tokens.

    Statistics come from the rollout table, so empty rollouts count; an ungraded rollout counts as reward 0.

    Args:
        divide_by_std: false gives Dr. GRPO's centred reward.
        epsilon: added to the unbiased standard deviation; a group of equal rewards gets exactly zero.

    Source: Shao et al., arXiv:2402.03300, section 4.1.2.
    """

    @requires()
    def signal(table: TokenTable, _: PlanContext) -> Tensor:
        reward = table.rollouts["reward"].nan_to_num(0.0)
        centred, deviation = centred_by_group(reward, table.rollouts["group"])
        advantage = centred / (deviation + epsilon) if divide_by_std else centred
        return advantage[table["rollout"]]

    return signal


def centred_by_group(
    values: Float[Tensor, "r"], group: Int[Tensor, "r"]
) -> tuple[Float[Tensor, "r"], Float[Tensor, "r"]]:
    """Values minus their group's mean, and their group's unbiased standard deviation (0 for a group of one)."""
    _, member = group.unique(return_inverse=True)
    count = torch.bincount(member).to(values.dtype)
    mean = torch.zeros_like(count).index_add_(0, member, values) / count
    centred = values - mean[member]
    variance = torch.zeros_like(count).index_add_(0, member, centred.square()) / (count - 1).clamp_min(1)
    return centred, variance.sqrt()[member]


def discounted_to_go(
    signal: Float[Tensor, "n"], *, gamma: float, rollout: Int[Tensor, "n"], index: Int[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """sum_{k >= 0} gamma^k signal_{t+k} within each rollout; time counts scored tokens, observations take none.

    Source: METHODS.md sections 3.1 and 3.3 (counting scored tokens only is our choice).
    """
    if gamma == 0 or signal.numel() == 0:
        return signal
    grid = torch.zeros(int(rollout.max()) + 1, int(index.max()) + 1, dtype=signal.dtype)
    grid[rollout, index] = signal
    for column in range(grid.shape[1] - 2, -1, -1):
        grid[:, column] += gamma * grid[:, column + 1]
    return grid[rollout, index]
