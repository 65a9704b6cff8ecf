"""Sums and quantiles within each rollout, in whatever order the rows stand; no statistic crosses rollouts or ranks."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def sum_before(values: Float[Tensor, "n"], *, rollout: Int[Tensor, "n"], index: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """What stands in a rollout before each row: sum of ``values`` over the rows of smaller ``index``; float64.

    >>> values = torch.tensor([1.0, 2.0, 4.0, 8.0])
    >>> sum_before(values, rollout=torch.tensor([0, 0, 0, 1]), index=torch.tensor([0, 1, 2, 0])).tolist()
    [0.0, 1.0, 3.0, 0.0]
    """
    order = _by_rollout(index, rollout)
    ordered = values[order].double()
    running = ordered.cumsum(0) - ordered
    before = torch.empty_like(running)
    before[order] = running - running[_starts(rollout)][rollout[order]]
    return before


def total_within(values: Float[Tensor, "n"], rollout: Int[Tensor, "n"]) -> Float[Tensor, "n"]:
    """The sum of each row's rollout; float64.

    >>> total_within(torch.tensor([1.0, 2.0, 8.0]), torch.tensor([0, 0, 1])).tolist()
    [3.0, 3.0, 8.0]
    """
    size = int(rollout.max()) + 1 if rollout.numel() else 0
    return torch.zeros(size, dtype=torch.float64).index_add_(0, rollout, values.double())[rollout]


def quantile_within(
    values: Float[Tensor, "n"], q: float, *, rollout: Int[Tensor, "n"], num_rollouts: int
) -> Float[Tensor, "r"]:
    """The q-quantile (linear interpolation) of each rollout's values; NaN for a rollout without any.

    >>> values, rollout = torch.tensor([3.0, 1.0, 2.0, 7.0]), torch.tensor([0, 0, 0, 1])
    >>> quantile_within(values, 0.75, rollout=rollout, num_rollouts=2).tolist()
    [2.5, 7.0]
    """
    if values.numel() == 0:
        return torch.full((num_rollouts,), torch.nan, dtype=values.dtype)
    ordered = values[_by_rollout(values, rollout)]
    count = torch.bincount(rollout, minlength=num_rollouts)
    first = count.cumsum(0) - count
    place = q * (count - 1).clamp_min(0).double()
    low, high = ((first + end.long()).clamp_max(values.numel() - 1) for end in (place.floor(), place.ceil()))
    quantile = torch.lerp(ordered[low], ordered[high], (place - place.floor()).to(values.dtype))
    return torch.where(count > 0, quantile, torch.full_like(quantile, torch.nan))


def _by_rollout(values: Tensor, rollout: Tensor) -> Tensor:
    """[N] the order by rollout and, within it, by ``values``."""
    by_value = values.argsort(stable=True)
    return by_value[rollout[by_value].argsort(stable=True)]


def _starts(rollout: Tensor) -> Tensor:
    """[R] where each rollout begins among rows that are ordered by rollout."""
    count = torch.bincount(rollout)
    return (count.cumsum(0) - count).clamp_max(max(rollout.numel() - 1, 0))
