"""Reductions: how rows add up. The planner owns every denominator, and each is global over ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext
from understudy.tokens import TokenTable

Denominator = Literal["all", "gated"]


@dataclass(frozen=True, eq=False)
class Reduced:
    """What a reduction sees.

    Args:
        table: the batch. counted: [N] bool, response rows of this optimiser step. gate: [N] bool, the term's rows.
        context: for the world.
    """

    table: TokenTable
    counted: Tensor
    gate: Tensor
    context: PlanContext

    def of(self, denominator: Denominator) -> Tensor:
        """[N] bool: the rows a denominator counts."""
        return self.counted & self.gate if denominator == "gated" else self.counted


Reduction = Callable[[Reduced], Tensor]
"""Gives each row its weight [N], float64; rows outside count nothing, and no rows at all give zeros, never NaN."""


def token_mean(*, denominator: Denominator = "all") -> Reduction:
    """1 / number of response tokens of the step over all ranks (``gated``: of the term's tokens only)."""

    def weights(reduced: Reduced) -> Tensor:
        rows = reduced.of(denominator)
        count = reduced.context.world.sum(rows.sum().double())
        return reduced.counted.double() / count.clamp_min(1)

    return weights


def token_sum() -> Reduction:
    """1 for every token. Source: importance_sampling loss of the Tinker recipe."""
    return lambda reduced: reduced.counted.double()


def sequence_mean_token_mean(*, denominator: Denominator = "all") -> Reduction:
    """Mean over rollouts of the mean over tokens; rollouts without a counted token are left out of the mean."""

    def weights(reduced: Reduced) -> Tensor:
        rollout = reduced.table["rollout"]
        counts = torch.bincount(rollout[reduced.of(denominator)], minlength=reduced.table.num_rollouts).double()
        sequences = reduced.context.world.sum((counts > 0).sum().double())
        return reduced.counted.double() / (counts[rollout].clamp_min(1) * sequences.clamp_min(1))

    return weights


def sequence_mean_token_sum(*, denominator: Denominator = "all") -> Reduction:
    """Mean over rollouts of the sum over tokens; rollouts without a counted token are left out of the mean."""

    def weights(reduced: Reduced) -> Tensor:
        counts = torch.bincount(reduced.table["rollout"][reduced.of(denominator)], minlength=reduced.table.num_rollouts)
        sequences = reduced.context.world.sum((counts > 0).sum().double())
        return reduced.counted.double() / sequences.clamp_min(1)

    return weights


def turn_mean_token_mean(*, denominator: Denominator = "all") -> Reduction:
    """Mean over turns of the mean over tokens: a long turn weighs as much as a short one, a long episode more."""

    def weights(reduced: Reduced) -> Tensor:
        turn = reduced.table["turn"]
        counts = _counts(reduced, denominator, turn, size=reduced.table.turns["rollout"].numel())
        turns = reduced.context.world.sum((counts > 0).sum().double())
        return reduced.counted.double() / (counts[turn].clamp_min(1) * turns.clamp_min(1))

    return weights


def sequence_mean_turn_mean_token_mean(*, denominator: Denominator = "all") -> Reduction:
    """Mean over rollouts of the mean over turns of the mean over tokens: every rollout, then every turn, alike."""

    def weights(reduced: Reduced) -> Tensor:
        table, turn = reduced.table, reduced.table["turn"]
        counts = _counts(reduced, denominator, turn, size=table.turns["rollout"].numel())
        turns = torch.bincount(table.turns["rollout"][counts > 0], minlength=table.num_rollouts).double()
        sequences = reduced.context.world.sum((turns > 0).sum().double())
        size = counts[turn].clamp_min(1) * turns[table["rollout"]].clamp_min(1)
        return reduced.counted.double() / (size * sequences.clamp_min(1))

    return weights


def divided_by(reduction: Reduction, constant: float) -> Reduction:
    """The reduction over a constant, whatever the batch.

    ``sequence_mean_token_sum`` over the longest completion is Dr. GRPO's. Source: Liu et al., arXiv:2503.20783.
    """
    return lambda reduced: reduction(reduced) / constant


def _counts(reduced: Reduced, denominator: Denominator, part: Tensor, *, size: int) -> Tensor:
    """[size] float64: how many of the denominator's rows each turn or rollout has."""
    return torch.bincount(part[reduced.of(denominator)], minlength=size).double()


ReductionName = Literal[
    "token_mean",
    "token_sum",
    "turn_mean_token_mean",
    "sequence_mean_token_mean",
    "sequence_mean_token_sum",
    "sequence_mean_turn_mean_token_mean",
]


def reduction_named(name: ReductionName, *, denominator: Denominator = "all") -> Reduction:
    """The reduction that a recipe names."""
    if name == "token_sum":
        return token_sum()
    return _WITH_DENOMINATOR[name](denominator=denominator)


_WITH_DENOMINATOR = {
    "token_mean": token_mean,
    "turn_mean_token_mean": turn_mean_token_mean,
    "sequence_mean_token_mean": sequence_mean_token_mean,
    "sequence_mean_token_sum": sequence_mean_token_sum,
    "sequence_mean_turn_mean_token_mean": sequence_mean_turn_mean_token_mean,
}
