"""Turn weights: one weight a turn, given to every token of it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import requires
from understudy.tokens import TokenTable


def turn_mean(column: Float[Tensor, "n"], turn: Int[Tensor, "n"], *, num_turns: int) -> Float[Tensor, "u"]:
    """Mean of a token column over each turn; 0 for a turn without scored tokens."""
    total = torch.zeros(num_turns, dtype=column.dtype).index_add_(0, turn, column)
    return total / torch.bincount(turn, minlength=num_turns).clamp_min(1)


def min_max_within(values: Float[Tensor, "u"], rollout: Int[Tensor, "u"], *, flat: float = 1e-8) -> Float[Tensor, "u"]:
    """Values scaled to [0, 1] within each rollout; 0.5 where their range is below ``flat``."""
    if values.numel() == 0:
        return values
    size = int(rollout.max()) + 1
    low = torch.full((size,), torch.inf, dtype=values.dtype).scatter_reduce(0, rollout, values, "amin")[rollout]
    high = torch.full((size,), -torch.inf, dtype=values.dtype).scatter_reduce(0, rollout, values, "amax")[rollout]
    span = high - low
    return torch.where(span < flat, torch.full_like(values, 0.5), (values - low) / span.clamp_min(flat))


def turn_soft_or() -> Slot:
    """w = 1 - (1 - d)(1 - h) a turn, [N]: d = mean |log ratio|, h = mean surprisal, each scaled within the rollout.

    Turns without scored tokens take no part in the scaling.

    Source: ATOD, arXiv:2606.27814 (T-DUR); METHODS.md section 6.3.
    """

    @requires("teacher_logprob", "student_logprob")
    def weight(table: TokenTable, _: PlanContext) -> Tensor:
        turn, count = table["turn"], table.turns["rollout"].numel()
        acted = table.turns["num_tokens"] > 0
        combined = torch.zeros(count, dtype=table["student_logprob"].dtype)
        scaled = [
            min_max_within(turn_mean(column, turn, num_turns=count)[acted], table.turns["rollout"][acted])
            for column in ((table["teacher_logprob"] - table["student_logprob"]).abs(), -table["student_logprob"])
        ]
        combined[acted] = 1 - (1 - scaled[0]) * (1 - scaled[1])
        return combined[turn]

    return weight
