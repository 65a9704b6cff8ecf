"""Where a series drops: one downward change of the mean, if the Bayesian information criterion is for it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

NO_VARIANCE = 1e-12
"""Least mean square that counts as a residue: below it are rounding errors, whose logarithm would say anything."""


def downward_change(series: Float[Tensor, "r s"], valid: Bool[Tensor, "r s"], *, shortest: int = 2) -> Int[Tensor, "r"]:
    """The index of the first value after the drop in each row; the row's length where its mean does not fall.

    With n values, RSS0 about one mean and RSS1 about the means of both sides of the best split, a drop is found where
    n ln(RSS1/n) + 3 ln n < n ln(RSS0/n) + ln n; the best split has the least RSS1 of those with the lower mean behind.

    Args:
        series: one series a row. valid: false behind its end. shortest: values that either side has at least; with 1,
            any two values that fall would be a perfect fit.

    Source: Prefix Teach, Suffix Fade, arXiv:2605.13643 (``shortest`` is our choice).
    """
    count = valid.sum(1).double()
    if series.shape[1] == 0:
        return count.long()
    centred = torch.where(valid, series.double() - _mean(series, valid)[:, None], 0.0)
    total_square, left_sum = centred.square().sum(1), centred.cumsum(1)
    left = torch.arange(1, series.shape[1] + 1, dtype=torch.float64)  # a split behind each value
    right = count[:, None] - left
    allowed = (left >= shortest) & (right >= shortest) & (left_sum > 0)
    explained = left_sum.square() * (1 / left + 1 / right.clamp_min(1))
    gain, split = explained.masked_fill(~allowed, -1.0).max(1)
    better = _criterion(total_square - gain, count, penalty=3) < _criterion(total_square, count, penalty=1)
    return torch.where(better & (gain > 0), split + 1, count.long())


def _mean(series: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid, series, 0.0).double().sum(1) / valid.sum(1).clamp_min(1)


def _criterion(residue: Tensor, count: Tensor, *, penalty: int) -> Tensor:
    """n ln(RSS/n) + penalty ln n."""
    number = count.clamp_min(1)
    return number * (residue / number).clamp_min(NO_VARIANCE).log() + penalty * number.log()
