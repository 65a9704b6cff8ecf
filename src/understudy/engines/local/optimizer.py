"""AdamW with a schedule: settings, the learning rate of an update as a pure function, and the optimiser."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from understudy.engines.local.optimizer_states import CompactAdamW, States

Schedule = Literal["constant", "linear", "cosine"]


class OptimizerSettings(Protocol):
    """What the policy reads of an optimiser's configuration; the recipe's ``optimizer`` has these fields."""

    @property
    def learning_rate(self) -> float:
        """Peak rate."""
        ...

    @property
    def schedule(self) -> Schedule:
        """Shape after the warm-up: constant, or down to zero, which the update after the last would have."""
        ...

    @property
    def warmup_steps(self) -> int:
        """Updates of linear warm-up."""
        ...

    @property
    def betas(self) -> tuple[float, float]:
        """Decays of Adam's two averages."""
        ...

    @property
    def eps(self) -> float:
        """Added to Adam's denominator."""
        ...

    @property
    def weight_decay(self) -> float:
        """Decoupled decay of matrices; vectors (norms, biases) are not decayed."""
        ...

    @property
    def max_grad_norm(self) -> float:
        """Gradients of a larger global norm are scaled down to it; 0 for no bound."""
        ...

    @property
    def states(self) -> States:
        """How Adam's two averages are kept."""
        ...


@dataclass(frozen=True)
class OptimizerConfig:
    """Plain ``OptimizerSettings``."""

    learning_rate: float = 1e-4
    schedule: Schedule = "constant"
    warmup_steps: int = 0
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    states: States = "float32"


def learning_rate_at(update: int, *, settings: OptimizerSettings, total_updates: int) -> float:
    """The rate of update number ``update`` (from 0): linear warm-up that reaches the peak, then the schedule.

    >>> config = OptimizerConfig(learning_rate=1.0, schedule="linear", warmup_steps=2)
    >>> [learning_rate_at(update, settings=config, total_updates=6) for update in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    """
    if update < settings.warmup_steps:
        return settings.learning_rate * (update + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    span = max(1, total_updates - settings.warmup_steps)
    progress = min(1.0, (update - settings.warmup_steps) / span)
    if settings.schedule == "linear":
        return settings.learning_rate * (1 - progress)
    return settings.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def adamw(
    parameters: Iterable[nn.Parameter], settings: OptimizerSettings, *, seed: int = 0
) -> torch.optim.AdamW | CompactAdamW:
    """AdamW, in torch's fused form or with compact states; matrices decay, vectors do not.

    Args:
        seed: keys the rounding of compact states.
    """
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate, betas, eps = settings.learning_rate, settings.betas, settings.eps
    if settings.states != "float32":
        return CompactAdamW(groups, lr=rate, betas=betas, eps=eps, states=settings.states, seed=seed)
    return torch.optim.AdamW(groups, lr=rate, betas=betas, eps=eps, fused=True)


def clip_by_norm(grads: list[Tensor], *, max_norm: float) -> Tensor:
    """Scale the gradients in place to at most this global norm (0: leave them); returns the norm before."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    if max_norm > 0:
        torch._foreach_mul_(grads, (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm
