"""Dropout of adapters, the only randomness inside an update, keyed by the update's number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from understudy.models.adapters import LoraSettings
from understudy.randomness import derived_seed


@contextmanager
def dropout_mode(
    model: nn.Module, lora: LoraSettings | None, *, seed: int, update: int, device: torch.device
) -> Iterator[None]:
    """Within the block the adapters' dropout is on, drawn from (seed, update); the model's own dropout stays off.

    The student must be the same distribution when it samples, is scored, and learns; so the base model never drops.
    """
    if lora is None or lora.dropout == 0:
        yield
        return
    layers = [layer for name, module in model.named_modules() if name.endswith("lora_dropout") for layer in [module]]
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(derived_seed(seed=seed, step=update, purpose="dropout"))
        for layer in layers:
            layer.train()
        try:
            yield
        finally:
            for layer in layers:
                layer.eval()
