"""What a plan may depend on beside the table: time, keyed randomness, and the other ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor

from understudy.randomness import uniform
from understudy.tokens import TokenTable
from understudy.world import SingleProcess, World


@dataclass(frozen=True)
class PlanContext:
    """Time, randomness and world of one planning.

    Args:
        step: number of the training step, from 0. total_steps: how many there are.
        seed: the run's seed. temperature: the loss temperature, equal to the sampler's.
        world: reductions over ranks.
    """

    step: int = 0
    total_steps: int = 1
    seed: int = 0
    temperature: float = 1.0
    world: World = field(default_factory=SingleProcess)

    @property
    def progress(self) -> float:
        """0 at the first step, 1 at the last."""
        return self.step / max(1, self.total_steps - 1)

    def uniform(self, purpose: str, table: TokenTable) -> Tensor:
        """[N] keyed draws in [0, 1), float64: the same token gets the same draw under any packing."""
        key = table.rollouts["key"][table["rollout"]]
        return uniform(seed=self.seed, step=self.step, purpose=purpose, rollout=key, index=table["index_in_rollout"])


Slot = Callable[[TokenTable, PlanContext], Tensor]
"""A slot of a term: a plain function from the table to a column [N]."""
