"""Model and loss as one module, so that an engine may wrap, shard and gather around both together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from understudy.models.forward import MicroBatch, hidden_rows
from understudy.models.head import Head
from understudy.models.head_loss import head_loss
from understudy.models.row_terms import RowTerm


class LossModule(nn.Module):
    """forward(micro-batch, its terms) -> (loss, sums of the terms).

    Inside a wrapped forward the head's weights are whole, so sharded and tied heads work. The wrapper must leave the
    output embeddings in the group of this module, not shard them on their own.

    Args:
        model: causal language model, PEFT-wrapped or not. vocab_size: true vocabulary.
        chunk_rows: rows of logits at a time. autocast: products take bfloat16 factors, the head's too.
    """

    def __init__(self, model: nn.Module, *, vocab_size: int, chunk_rows: int, autocast: bool = False) -> None:
        super().__init__()
        self.model = model
        self.head = Head(model, vocab_size=vocab_size, rounded=autocast)
        self.chunk_rows, self.autocast = chunk_rows, autocast

    def forward(
        self, batch: MicroBatch, terms: Sequence[RowTerm], *, temperature: float = 1.0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The micro-batch's loss and each term's detached sum; without rows, a zero attached to the graph."""
        hidden = hidden_rows(self.model, batch, autocast=self.autocast)
        return head_loss(hidden, self.head, terms, temperature=temperature, chunk_rows=self.chunk_rows)
