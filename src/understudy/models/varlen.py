"""PyTorch's variable-length flash attention, where device, precision and version have it.

Not run yet on a GPU by this project's tests; a model that would use it is compared with the plain form when it is
loaded (``architectures.why_not_packed``), and pads where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import torch
from torch import Tensor

from understudy.models.attention import Kind

_HALF = (torch.bfloat16, torch.float16)
_MAX_WIDTH = 256


def has_varlen(query: Tensor, kind: Kind) -> bool:
    """Whether these queries, already in the precision of the attention, can go through it."""
    fits = query.is_cuda and query.dtype in _HALF and query.shape[-1] <= _MAX_WIDTH
    return fits and kind.is_plain and kind.dropout == 0 and installed()


def installed() -> bool:
    """Whether this PyTorch has it (2.10 and later)."""
    return find_spec("torch.nn.attention.varlen") is not None


def attend_varlen(
    query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], *, scaling: float, span: int | None
) -> Tensor:
    """Causal attention of the sequences of one row: query [1, H, T, D], key and value [1, G, T, D] to [1, T, H, D].

    Args:
        span: keys a query sees, itself included; None: all up to its own.
    """
    from torch.nn.attention.varlen import varlen_attn  # PyTorch 2.6 to 2.9 are without it

    starts = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32).to(query.device)
    longest = max(lengths)
    query_rows, key_rows, value_rows = (x[0].transpose(0, 1).contiguous() for x in (query, key, value))
    mixed = varlen_attn(
        query_rows,
        key_rows,
        value_rows,
        starts,
        starts,
        longest,
        longest,
        scale=scaling,
        window_size=(-1 if span is None else span - 1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    assert isinstance(mixed, Tensor)
    return mixed[None]
