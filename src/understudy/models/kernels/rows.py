"""Where the form of a row kernel is chosen: Triton for float32 logits on CUDA, PyTorch for everything else."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.models.kernels import plain
from understudy.models.kernels.plain import FullTerm
from understudy.models.kernels.statistics import RowStatistics


def row_statistics(logits: Float[Tensor, "r v"], *, temperature: float, entropy: bool = False) -> RowStatistics:
    """Top, mass and, if asked, spread of every row in one read; the logits stay as they are."""
    if _by_triton(logits):
        from understudy.models.kernels import triton_rows

        return triton_rows.row_statistics(logits, temperature=temperature, entropy=entropy)
    return plain.row_statistics(logits, temperature=temperature, entropy=entropy)


def softmax_gradient_(
    logits: Float[Tensor, "r v"], statistics: RowStatistics, factor: Float[Tensor, "r"]
) -> Float[Tensor, "r v"]:
    """The buffer of the logits becomes factor * softmax(logits / temperature)."""
    if _by_triton(logits):
        from understudy.models.kernels import triton_rows

        return triton_rows.softmax_gradient_(logits, statistics, factor)
    return plain.softmax_gradient_(logits, statistics, factor)


def full_gradient_(
    logits: Float[Tensor, "r v"],
    statistics: RowStatistics,
    terms: Sequence[FullTerm],
    factor: Float[Tensor, "r"],
    *,
    needed: bool,
) -> list[Float[Tensor, "m"]]:
    """Each term's row losses; the buffer of the logits becomes their weighted gradient, plus factor * softmax.

    Args:
        terms: may share rows. needed: whether the gradient is wanted; the logits stay as they are if it is not.
    """
    # The kernel works in place, so it takes one term and one entry a row; what overlaps goes block by block.
    if _by_triton(logits) and len(terms) == 1 and bool((terms[0].index.diff() > 0).all()):
        from understudy.models.kernels import triton_full

        return [triton_full.full_gradient_(logits, statistics, terms[0], factor, needed=needed)]
    return plain.full_gradient_(logits, statistics, terms, factor, needed=needed)


def _by_triton(logits: Tensor) -> bool:
    return logits.is_cuda and logits.dtype in (torch.float32, torch.bfloat16) and _has_triton()


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
