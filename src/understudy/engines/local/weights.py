"""Weights beside the live ones: the start, an exponential average, and reading a model under them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

NamedTensors = dict[str, Tensor]


def copy_of(parameters: Mapping[str, nn.Parameter], *, device: str | None = None) -> NamedTensors:
    """Detached copies by name, on ``device`` (None: where they are)."""
    return {name: p.detach().to(device or p.device, copy=True) for name, p in parameters.items()}


def average_into(average: NamedTensors, parameters: Mapping[str, nn.Parameter], *, decay: float) -> None:
    """average <- decay * average + (1 - decay) * parameter, in place."""
    with torch.no_grad():
        torch._foreach_lerp_(
            [average[name] for name in parameters], [p.detach() for p in parameters.values()], 1.0 - decay
        )


@contextmanager
def swapped(parameters: Mapping[str, nn.Parameter], weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Within the block the parameters hold ``weights``; afterwards what they held before, bit for bit."""
    live = {name: p.data for name, p in parameters.items()}
    try:
        for name, p in parameters.items():
            p.data = weights[name].to(device=p.device, dtype=p.dtype)
        yield
    finally:
        for name, p in parameters.items():
            p.data = live[name]


def all_trainable(model: nn.Module) -> nn.Module:
    """The model with all weights in float32 (the master copy) and with gradients; float64 ones stay as they are."""
    if next(model.parameters()).dtype != torch.float64:
        model.float()
    return model.requires_grad_(True).eval()
