"""Activation checkpointing: inside a layer nothing is kept for the backward pass, it is made again there.

The layers are those that transformers marks for it. They are wrapped here and not through transformers' switch, since
that one works in training mode only, where a model's own dropout would be on; the student never drops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from understudy.engines.local.out_of_memory import Allowance, Budget, Notice
from understudy.errors import CapabilityError
from understudy.models.forward import causal_lm
from understudy.models.packed_attention import our_kernels

Choice = Literal["auto", "on", "off"]
"""Whether activations are made again: always, never, or when one context does not fit."""


def can_checkpoint(model: nn.Module) -> bool:
    """Whether transformers says that the model's layers may be computed twice."""
    return bool(getattr(causal_lm(model), "supports_gradient_checkpointing", False)) and bool(layers_of(model))


@contextmanager
def checkpointing_mode(model: nn.Module, *, enabled: bool) -> Iterator[None]:
    """Within the block, which must hold the backward pass as well, every layer keeps its inputs only.

    Nothing random may happen inside a layer but what is keyed, as ``dropout_mode`` is.
    """
    layers = layers_of(model) if enabled else []
    for layer in layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False, preserve_rng_state=False)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own stands again


@contextmanager
def same_attention(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Within the block a layer that is computed again attends with the kernels that ``hidden_rows`` gave it."""
    with our_kernels(causal_lm(model).config) if device.type == "cpu" else nullcontext():
        yield


def learning_allowance(model: nn.Module, budget: Budget, choice: Choice, *, notice: Notice | None) -> Allowance:
    """What an update may take at a time; raises CapabilityError where ``on`` cannot be had."""
    possible = can_checkpoint(model)
    if choice == "on" and not possible:
        raise CapabilityError(
            "the layers of this architecture cannot be computed again for their gradients",
            got=type(causal_lm(model)).__name__,
            remedy="Set engine.activation_checkpointing: off.",
        )
    budget = replace(budget, checkpointing=choice == "on")
    return Allowance(budget, work="the student's update", may_checkpoint=choice == "auto" and possible, notice=notice)


def layers_of(model: nn.Module) -> list[nn.Module]:
    """The blocks that transformers marks as fit to be computed twice, from the first to the last."""
    return [module for module in causal_lm(model).modules() if isinstance(module, GradientCheckpointingLayer)]
