"""A loss term cut to the rows of one micro-batch: what the head evaluates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.objectives.row_losses import select
from understudy.plans import RowLoss
from understudy.tokens import Hidden


@dataclass(frozen=True, eq=False)
class RowTerm:
    """A loss term cut to the rows of one micro-batch; everything on the device of the hidden states.

    Args:
        name: of the term.
        index: [m] int64, ascending, rows of the hidden states; terms may share rows.
        weights: [m]. row_loss: constants cut to these rows.
        ids: [m, k] support, or None for the whole vocabulary. valid: [m, k] or None.
        target: [m, H'] hidden states and head of the scorer that gives the target of a whole-vocabulary term.
    """

    name: str
    index: Int[Tensor, "m"]
    weights: Float[Tensor, "m"]
    row_loss: RowLoss
    ids: Int[Tensor, "m k"] | None = None
    valid: Bool[Tensor, "m k"] | None = None
    target: Hidden | None = None

    def part(self, start: int, stop: int) -> RowTerm:
        """Entries ``start`` to ``stop`` of the term."""
        if start == 0 and stop == self.index.numel():
            return self
        entries = torch.arange(start, stop, device=self.index.device)
        return replace(
            self,
            index=self.index[start:stop],
            weights=self.weights[start:stop],
            row_loss=select(self.row_loss, entries),
            ids=None if self.ids is None else self.ids[start:stop],
            valid=None if self.valid is None else self.valid[start:stop],
            target=None if self.target is None else Hidden(self.target.states[start:stop], self.target.project),
        )
