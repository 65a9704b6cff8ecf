"""Numbers that cross ranks at plan time: nothing else does."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class World(Protocol):
    """Reductions over all ranks. Each rank plans its own shard and makes the same calls in the same order."""

    @property
    def size(self) -> int:
        """Number of ranks."""
        ...

    def sum(self, value: Tensor) -> Tensor:
        """Element-wise sum over ranks; the same shape on every rank."""
        ...

    def min(self, value: Tensor) -> Tensor:
        """Element-wise minimum over ranks."""
        ...

    def max(self, value: Tensor) -> Tensor:
        """Element-wise maximum over ranks."""
        ...

    def quantile(self, values: Tensor, q: float) -> Tensor:
        """The q-quantile (linear interpolation) of all ranks' 1-D values together; NaN where there are none."""
        ...


class SingleProcess:
    """The world of one process: every reduction is the identity."""

    size = 1

    def sum(self, value: Tensor) -> Tensor:
        """The value itself."""
        return value

    def min(self, value: Tensor) -> Tensor:
        """The value itself."""
        return value

    def max(self, value: Tensor) -> Tensor:
        """The value itself."""
        return value

    def quantile(self, values: Tensor, q: float) -> Tensor:
        """The q-quantile of ``values`` by linear interpolation; NaN for an empty tensor."""
        return quantile(values, q)


def quantile(values: Tensor, q: float) -> Tensor:
    """The q-quantile of 1-D ``values`` (linear interpolation, any length); NaN for none."""
    if values.numel() == 0:
        return torch.full((), float("nan"), dtype=values.dtype)
    ordered = values.sort().values
    place = q * (ordered.numel() - 1)
    low = int(place)
    high = min(low + 1, ordered.numel() - 1)
    if (
        place == low or ordered[low] == ordered[high]
    ):  # no step to take: an infinite one would give inf - inf or inf * 0
        return ordered[low]
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
