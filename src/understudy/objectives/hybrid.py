"""What a plan tells of an advantage that is part distillation and part reward, and of the weights of its turns.

The figures are of the columns that the planner froze; nobody works a weight out a second time (docs/design/017).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import Needs, needs_of
from understudy.tokens import TokenTable
from understudy.world import World

ACTIVE_WEIGHT = 0.5
"""A turn that weighs more is active; our choice."""


@dataclass(frozen=True)
class TurnWeight:
    """A weight slot that weighs turns.

    Args:
        name: of the weighting; its figures begin with it. column: [N], the weight of each token's turn.
    """

    name: str
    column: Slot

    @property
    def needs(self) -> Needs:
        """What the table must hold."""
        return needs_of(self.column)

    def __call__(self, table: TokenTable, context: PlanContext) -> Tensor:
        """[N] weights."""
        return self.column(table, context)


@dataclass(frozen=True, eq=False)
class Halves:
    """The two parts of an advantage as they were planned.

    Args:
        distillation, reward: [N], weight and coefficient included. kl_coef, rl_coef: their coefficients at this step.
    """

    distillation: Tensor
    reward: Tensor
    kl_coef: float
    rl_coef: float

    def columns(self) -> dict[str, Tensor]:
        """[N] each, for files."""
        return {"distillation": self.distillation, "reward": self.reward}

    def figures(self, kept: Bool[Tensor, "n"], world: World) -> dict[str, float]:
        """Coefficients, the mean size of each part over the kept tokens of all ranks, and their ratio.

        ``hybrid/opd_rl_ratio`` is mean |kappa w A_OPD| / mean |rho A_reward|, A_OPD = log pi_T - log pi_S; it is absent
        where every group was equally rewarded, which leaves nothing to divide by.

        Source: ATOD, arXiv:2606.27814.
        """
        parts = [self.distillation[kept].double().abs().sum(), self.reward[kept].double().abs().sum()]
        sums = world.sum(torch.stack([*parts, kept.sum().double()]))
        distilled, rewarded = (sums[:2] / sums[2].clamp_min(1)).tolist()
        figures = {
            "hybrid/kl_coef": self.kl_coef,
            "hybrid/rl_coef": self.rl_coef,
            "hybrid/opd_abs_mean": distilled,
            "hybrid/rl_abs_mean": rewarded,
        }
        return figures | ({"hybrid/opd_rl_ratio": distilled / rewarded} if rewarded > 0 else {})


@dataclass(frozen=True, eq=False)
class TurnWeights:
    """The weights of a batch's turns as they were planned: those of the weighting ``name``, one [N] column."""

    name: str
    column: Tensor

    def figures(self, table: TokenTable, kept: Bool[Tensor, "n"], world: World) -> dict[str, float]:
        """``<name>/mean_weight`` over the turns with a kept token, and ``<name>/active_ratio``, of all ranks.

        The weight of a turn is the mean over its kept tokens, which is the turn's own where all of them weigh alike.
        """
        weights = mean_by(self.column[kept], table["turn"][kept]).double()
        active = (weights > ACTIVE_WEIGHT).double()
        sums = world.sum(torch.stack([weights.sum(), active.sum(), torch.tensor(float(weights.numel())).double()]))
        if not sums[2] > 0:
            return {}
        mean, share = (sums[:2] / sums[2]).tolist()
        return {f"{self.name}/mean_weight": mean, f"{self.name}/active_ratio": share}


def mean_by(column: Float[Tensor, "n"], turn: Int[Tensor, "n"]) -> Float[Tensor, "u"]:
    """Mean of a column over each turn that has a row, in the order of their numbers."""
    _, member = turn.unique(return_inverse=True)
    count = torch.bincount(member)
    return torch.zeros(count.numel(), dtype=column.dtype).index_add_(0, member, column) / count


def told_columns(halves: Halves | None, weights: TurnWeights | None) -> Mapping[str, Tensor]:
    """[N] columns that files keep beside a term's advantage."""
    columns = {} if halves is None else halves.columns()
    return columns if weights is None else {**columns, "turn_weight": weights.column}
