"""Returns: sums of a signal over the rest of a rollout, and their scale over the batch."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.gates import Gate, student_tokens
from understudy.objectives.needs import needs_of, requires
from understudy.objectives.shapes import Shape
from understudy.objectives.signals import discounted_to_go
from understudy.tokens import TokenTable


def return_to_go(
    reward: Slot, *, gamma: float = 1.0, shape: Shape | None = None, per_remaining_token: bool = False
) -> Slot:
    """sum_{k >= t} gamma^(k-t) shape(reward_k) over the student's own tokens of the rollout, [N]; 0 on other tokens.

    Args:
        shape: applied to each reward before the sum.
        per_remaining_token: divide by the number of the student's tokens from t on.

    Source: MiniLLM, arXiv:2306.08543, eq. 6 (division: section 2.2, "length normalization").
    """

    @requires(needs=needs_of(reward, student_tokens))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        own = student_tokens(table, context)
        rewards = reward(table, context)
        rewards = torch.where(own, shape(rewards) if shape else rewards, torch.zeros_like(rewards))
        total = _summed(rewards, table, gamma=gamma)
        if per_remaining_token:
            total = total / _summed(own.to(total.dtype), table, gamma=1.0).clamp_min(1)
        return torch.where(own, total, torch.zeros_like(total))

    return column


def whitened(column: Slot, *, among: Gate = student_tokens, epsilon: float = 1e-8) -> Slot:
    """(column - mean) / sqrt(variance + epsilon) over the batch's rows in ``among`` on all ranks; 0 on other rows.

    A column that is the same everywhere gives zero.

    Source: the ``whiten`` of MiniLLM and of PPO for language models (variance divided by the count).
    """

    @requires(needs=needs_of(column, among))
    def whitened_column(table: TokenTable, context: PlanContext) -> Tensor:
        values, kept = column(table, context), among(table, context)
        mine = values[kept].double()
        first = context.world.sum(torch.stack([mine.sum(), torch.tensor(float(mine.numel()), dtype=torch.float64)]))
        count = first[1].clamp_min(1)
        mean = first[0] / count
        variance = context.world.sum((mine - mean).square().sum()) / count
        scaled = (values.double() - mean) / (variance + epsilon).sqrt()
        return torch.where(kept, scaled, torch.zeros_like(scaled)).to(values.dtype)

    return whitened_column


def _summed(values: Tensor, table: TokenTable, *, gamma: float) -> Tensor:
    return discounted_to_go(values, gamma=gamma, rollout=table["rollout"], index=table["index_in_rollout"])
