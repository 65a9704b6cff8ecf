"""What one read of a row of logits gives: enough for its log-probs, its entropy and its softmax."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RowStatistics:
    """Of softmax(logits / temperature), one entry a row, in the logits' precision or float32 if that is higher.

    Args:
        top: [r] largest logit, before temperature. mass: [r] sum of exp((logit - top) / temperature).
        spread: [r] mean of (logit - top) / temperature under the softmax, where it was asked for.
        temperature: that they hold for.
    """

    top: Float[Tensor, "r"]
    mass: Float[Tensor, "r"]
    temperature: float
    spread: Float[Tensor, "r"] | None = None

    @property
    def entropy(self) -> Float[Tensor, "r"]:
        """Nats; needs ``spread``."""
        assert self.spread is not None
        return self.mass.log() - self.spread

    def rows(self, index: Int[Tensor, "m"] | slice) -> RowStatistics:
        """Of some rows."""
        return RowStatistics(self.top[index], self.mass[index], self.temperature)

    def log_probs(self, logits: Float[Tensor, "r k"]) -> Float[Tensor, "r k"]:
        """Nats of some or all entries of these rows."""
        # The largest logit first: far from zero the rest would round away.
        shifted = logits.to(self.top.dtype) - self.top[:, None]
        if self.temperature != 1:
            shifted.div_(self.temperature)
        return shifted.sub_(self.mass.log()[:, None])


def log_probs_at(
    logits: Float[Tensor, "r v"],
    statistics: RowStatistics,
    *,
    rows: Int[Tensor, "m"],
    ids: Int[Tensor, "m k"],
) -> Float[Tensor, "m k"]:
    """Nats at selected entries."""
    return statistics.rows(rows).log_probs(logits[rows[:, None], ids])


def wide_dtype(logits: Tensor) -> torch.dtype:
    """The precision that its statistics have."""
    return torch.promote_types(logits.dtype, torch.float32)
