"""Rows of a table as the service wants them: one datum a context, all targets of a position side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from understudy.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Layout:
    """Where rows stand in datums.

    Args:
        inputs: [T] ids each, what one datum's forward pass reads: a context up to its last row, without that token.
        datum, place: [R] of each used row, its datum and its position there; ordered by datum.
        targets: [R, K] ids; zero where a row has fewer. entries: of each wish, [M] rows of ``targets``.
        columns: of each wish, [M, k] columns of ``targets``.
    """

    inputs: Sequence[Tensor]
    datum: Tensor
    place: Tensor
    targets: Tensor
    entries: Sequence[Tensor]
    columns: Sequence[Tensor]

    @property
    def num_tokens(self) -> int:
        """Tokens that go through the model in one pass."""
        return sum(ids.numel() for ids in self.inputs)

    def scattered(self, parts: Sequence[Tensor]) -> Tensor:
        """[R, K] from one [M, k] a wish, zero elsewhere."""
        whole = torch.zeros(self.targets.shape, dtype=parts[0].dtype)
        for part, entries, columns in zip(parts, self.entries, self.columns, strict=True):
            whole[entries[:, None], columns] = part
        return whole

    def gathered(self, whole: Tensor) -> list[Tensor]:
        """One [M, k] a wish from [R, K]; differentiable."""
        return [whole[entries[:, None], columns] for entries, columns in zip(self.entries, self.columns, strict=True)]

    def by_datum(self, whole: Tensor) -> list[Tensor]:
        """Values [R, K] as one [T, K] a datum, zero at positions without a row; [T] where K is 1."""
        parts = []
        for number, ids in enumerate(self.inputs):
            mine = self.datum == number
            dense = torch.zeros(ids.numel(), whole.shape[1], dtype=whole.dtype)
            dense[self.place[mine]] = whole[mine]
            parts.append(dense.squeeze(1) if whole.shape[1] == 1 else dense)
        return parts

    def from_datums(self, parts: Sequence[Tensor]) -> Tensor:
        """[R, K] from what the service returns, one [T, K] or [T] a datum; differentiable."""
        wide = [part.reshape(ids.numel(), -1) for part, ids in zip(parts, self.inputs, strict=True)]
        return torch.cat([part[self.place[self.datum == number]] for number, part in enumerate(wide)])


@dataclass(frozen=True, eq=False)
class Wanted:
    """Log-probs that are wanted.

    Args:
        rows: [M] distinct rows of a table of tokens. ids: [M, k].
    """

    rows: Tensor
    ids: Tensor


def layout_of(contexts: Sequence[Tensor], context: Tensor, position: Tensor, wanted: Sequence[Wanted]) -> Layout:
    """Lay out what is wanted; two wishes on one row stand side by side, so that one pass answers both.

    Args:
        contexts: [L] ids each. context, position: [N] of each row of the table, as in ``ScoreRequest``.
    Raises:
        ShapeError: two rows are one token.
    """
    rows = torch.unique(torch.cat([torch.zeros(0, dtype=torch.int64), *(one.rows for one in wanted)]))
    rows = rows[context[rows].argsort(stable=True)]
    used, datum = context[rows].unique(return_inverse=True)
    places = torch.stack([datum, position[rows]], dim=1)
    if places.unique(dim=0).shape[0] < rows.numel():
        raise ShapeError("rows for the Tinker service", got="one token twice", expected="each token once")
    lengths = torch.zeros(used.numel(), dtype=torch.int64).scatter_reduce_(0, datum, position[rows], "amax")
    entries, columns, width = _packed(wanted, rows, context.numel())
    targets = torch.zeros(rows.numel(), max(width, 1), dtype=torch.int64)
    for one, entry, column in zip(wanted, entries, columns, strict=True):
        targets[entry[:, None], column] = one.ids
    inputs = [contexts[number][:length] for number, length in zip(used.tolist(), lengths.tolist(), strict=True)]
    return Layout(inputs, datum, position[rows] - 1, targets, entries, columns)


def _packed(wanted: Sequence[Wanted], rows: Tensor, num_tokens: int) -> tuple[list[Tensor], list[Tensor], int]:
    """Of each wish its entries and columns, and how many columns there are."""
    where = torch.zeros(num_tokens, dtype=torch.int64)
    where[rows] = torch.arange(rows.numel())
    taken = torch.zeros(rows.numel(), dtype=torch.int64)
    entries, columns = [], []
    for one in wanted:
        entry, width = where[one.rows], one.ids.shape[1]
        entries.append(entry)
        columns.append(taken[entry][:, None] + torch.arange(width))
        taken[entry] += width
    return entries, columns, int(taken.max()) if taken.numel() else 0
