"""The service's losses as its documentation states them, written the slow plain way; each is summed over tokens."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def loss_of(name: str, logprobs: Tensor, inputs: Mapping[str, Tensor], config: Mapping[str, float]) -> Tensor:
    """The loss of one datum from the live log-probs of its targets, [T] or [T, K]; differentiable."""
    if name == "cross_entropy":
        return -(logprobs * inputs["weights"]).sum()
    assert logprobs.ndim == 1, "a loss with a ratio takes one target a position"
    ratio = torch.exp(logprobs - inputs["logprobs"])
    advantages = inputs["advantages"]
    if name == "importance_sampling":
        return -(ratio * advantages).sum()
    clipped = ratio.clamp(config.get("clip_low_threshold", 0.8), config.get("clip_high_threshold", 1.2))
    if name == "ppo":
        return -torch.minimum(ratio * advantages, clipped * advantages).sum()
    if name == "cispo":
        return -(clipped.detach() * advantages * logprobs).sum()
    raise ValueError(f"no loss is called {name}")
