"""Shapes: element-wise transforms of a signal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Shape = Callable[[Float[Tensor, "n"]], Float[Tensor, "n"]]


def floor(lowest: float) -> Shape:
    """max(signal, lowest). Source: REOPOLD, arXiv:2603.11137."""
    return lambda signal: signal.clamp_min(lowest)


def clip(bound: float) -> Shape:
    """Signal cut to [-bound, bound]."""
    return lambda signal: signal.clamp(-bound, bound)


def power(exponent: float) -> Shape:
    """(e^(exponent * signal) - 1) / exponent: of a log-ratio, (u^exponent - 1) / exponent; above -1 / exponent."""
    return lambda signal: torch.expm1(exponent * signal) / exponent
