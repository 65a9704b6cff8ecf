"""The fields that every method has."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from understudy.objectives.reductions import Reduction, ReductionName, reduction_named


class MethodConfig(BaseModel):
    """Base of all methods' configurations.

    Args:
        reduction: how tokens add up; ``token_mean`` divides by all response tokens of the step.
        num_updates: optimiser steps a batch of rollouts, split by group.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    reduction: ReductionName = "token_mean"
    num_updates: int = Field(default=1, ge=1)

    def reduce(self) -> Reduction:
        """The reduction that the recipe names."""
        return reduction_named(self.reduction)
