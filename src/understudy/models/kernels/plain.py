"""The PyTorch form of the row kernels: the reference, and the way of every machine without CUDA.

The work goes through blocks of a few rows, so that its many small passes stay in a CPU's cache and its temporaries
are a block, never a [rows, vocabulary] buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.models.divergence_gradient import divergence_gradient
from understudy.models.kernels.statistics import RowStatistics, wide_dtype
from understudy.plans import Divergence

# A block is 1 MiB of float32 on a CPU, where it must fit its cache, and 128 MiB elsewhere, where launches cost.
_CPU_VALUES, _DEVICE_VALUES = 1 << 18, 1 << 25


@dataclass(frozen=True, eq=False)
class FullTerm:
    """A whole-vocabulary divergence on some rows of a chunk.

    Args:
        index: [m] int64, ascending rows of the chunk. weights: [m].
        target: [m, V or more] the target's logits; entries beyond the student's vocabulary do not count.
        target_statistics: of its first V columns.
    """

    row_loss: Divergence
    index: Int[Tensor, "m"]
    weights: Float[Tensor, "m"]
    target: Tensor
    target_statistics: RowStatistics


def row_statistics(logits: Tensor, *, temperature: float, entropy: bool = False) -> RowStatistics:
    """Top, mass and, if asked, spread of every row; the logits stay as they are."""
    top = torch.empty(logits.shape[0], dtype=wide_dtype(logits), device=logits.device)
    mass, spread = torch.empty_like(top), torch.empty_like(top) if entropy else None
    blocks = _blocks(logits)
    # One scratch block for all: small results kept between large temporaries would tear the heap to pieces.
    scratch = logits.new_empty(logits[blocks[0]].shape if blocks else (0, 0), dtype=top.dtype)
    for block in blocks:
        top[block] = logits[block].amax(1)
        shifted = scratch[: block.stop - block.start].copy_(logits[block]).sub_(top[block, None])
        if temperature != 1:
            shifted.div_(temperature)
        mass[block] = _mass(shifted, None if spread is None else spread[block])
    return RowStatistics(top, mass, temperature, spread)


def softmax_gradient_(logits: Tensor, statistics: RowStatistics, factor: Float[Tensor, "r"]) -> Tensor:
    """The buffer of the logits becomes factor * softmax(logits / temperature)."""
    scale = factor / statistics.mass
    for block in _blocks(logits):
        part = logits[block].sub_(statistics.top[block, None])
        if statistics.temperature != 1:
            part.div_(statistics.temperature)
        part.exp_().mul_(scale[block, None])
    return logits


def full_gradient_(
    logits: Tensor, statistics: RowStatistics, terms: Sequence[FullTerm], factor: Float[Tensor, "r"], *, needed: bool
) -> list[Float[Tensor, "m"]]:
    """Each term's row losses; the buffer of the logits becomes their weighted gradient, plus factor * softmax.

    Args:
        terms: may share rows. needed: whether the gradient is wanted; the logits stay as they are if it is not.
    """
    blocks = _blocks(logits)
    walks = [_Walk(term, blocks, num_rows=logits.shape[0]) for term in terms]
    for number, block in enumerate(blocks):
        live = statistics.rows(block).log_probs(logits[block])
        found = [part for walk in walks if (part := walk.visit(number, live)) is not None]
        if needed:
            _write(logits[block], live.exp_(), found, factor[block], temperature=statistics.temperature)
    return [walk.values for walk in walks]


@dataclass(frozen=True, eq=False)
class _Part:
    """A term's weighted gradient [e, V] with respect to the live log-probs at rows [e] of a block (None: all)."""

    rows: Tensor | None
    gradient: Tensor


class _Walk:
    """A term met block by block."""

    def __init__(self, term: FullTerm, blocks: Sequence[slice], *, num_rows: int) -> None:
        self._term, self._blocks = term, blocks
        edges = torch.tensor([*(block.start for block in blocks), num_rows], device=term.index.device)
        self._bounds = torch.searchsorted(term.index, edges).tolist()
        # Where every row of the chunk has one entry, in order, nothing needs to be picked out.
        self._every_row = term.index.numel() == num_rows and bool((term.index.diff() == 1).all())
        self.values = torch.empty(term.index.numel(), dtype=term.target_statistics.top.dtype, device=term.index.device)

    def visit(self, number: int, live: Tensor) -> _Part | None:
        """Fill the values of the entries that stand in this block; their gradient, if there are any."""
        term, entries = self._term, slice(self._bounds[number], self._bounds[number + 1])
        if entries.start == entries.stop:
            return None
        rows = None if self._every_row else term.index[entries] - self._blocks[number].start
        target = term.target_statistics.rows(entries).log_probs(term.target[entries, : live.shape[1]])
        found = divergence_gradient(term.row_loss, live if rows is None else live[rows], target.to(live.dtype))
        self.values[entries] = found.value
        return _Part(rows, found.gradient.mul_(term.weights[entries, None]))


def _write(out: Tensor, softmax: Tensor, found: Sequence[_Part], factor: Tensor, *, temperature: float) -> None:
    """out = factor * softmax + sum of (gradient - softmax * its sum) / temperature."""
    spent = factor.clone()
    for part in found:
        total = part.gradient.div_(temperature).sum(1) if temperature != 1 else part.gradient.sum(1)
        if part.rows is None:
            spent.sub_(total)
        else:
            spent.index_add_(0, part.rows, total, alpha=-1)
    torch.mul(softmax, spent[:, None], out=out)
    for part in found:
        if part.rows is None:
            out.add_(part.gradient)
        else:
            out.index_add_(0, part.rows, part.gradient)


def _mass(shifted: Tensor, spread: Tensor | None) -> Tensor:
    """Sum of exponentials [b]; fills ``spread`` with the mean of ``shifted`` under them."""
    if spread is None:
        return shifted.exp_().sum(1)
    weights = shifted.exp()
    mass = weights.sum(1)
    # A logit of -inf has no weight and adds nothing.
    spread.copy_(weights.mul_(shifted.clamp_min_(torch.finfo(shifted.dtype).min)).sum(1) / mass)
    return mass


def _blocks(logits: Tensor) -> list[slice]:
    values = _CPU_VALUES if logits.device.type == "cpu" else _DEVICE_VALUES
    size = max(1, values // logits.shape[1])
    return [slice(start, min(start + size, logits.shape[0])) for start in range(0, logits.shape[0], size)]
