"""Causal attention of short sequences in C on a CPU: all of them in one call, forward and backward.

torch's fused kernel takes a call a sequence where lengths differ, and at a hundred tokens it reaches an eighth of the
processor's rate; this one needs 0.6 of its time there, and as long for sequences of two thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_float, c_int, c_int64, c_void_p
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from understudy.models.native import library, shares_of, threads

_SOURCE = Path(__file__).with_name("attention_kernel.c")
_TYPES = {torch.float32: 0, torch.bfloat16: 1}
LONGEST = 2048
"""Tokens of the longest sequence: a tile's scores then stay in the cache."""
_WIDEST = 256


class _Shape(Structure):
    _fields_ = (
        *((name, c_int64) for name in ("heads", "groups", "width")),
        *((f"{of}_{step}", c_int64) for of in ("query", "key", "value") for step in ("token", "head")),
        ("type", c_int),
        ("scale", c_float),
    )


@cache
def _kernel() -> Any:
    """The library with its functions' types, or None."""
    made = library(_SOURCE)
    if made is not None:
        made.attention_scratch.restype, made.attention_scratch.argtypes = c_int64, (c_int64, c_int64)
        tasks = (c_int64, c_int64, c_void_p)
        made.attention.argtypes = (POINTER(_Shape), *(c_void_p,) * 6, *tasks)
        made.attention_backward.argtypes = (POINTER(_Shape), *(c_void_p,) * 10, *tasks)
        made.attention.restype = made.attention_backward.restype = None
    return made


def can_attend(query: Tensor, key: Tensor, value: Tensor, *, longest: int) -> bool:
    """Whether these go through the kernel: on the CPU, all float32 or all bfloat16, short enough, with a compiler."""
    kinds = {x.dtype for x in (query, key, value)}
    same = len(kinds) == 1 and kinds <= _TYPES.keys() and query.shape[-1] == value.shape[-1] <= _WIDEST
    return query.device.type == "cpu" and same and 0 < longest <= LONGEST and _kernel() is not None


def attend_in_c(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], *, scaling: float) -> Tensor:
    """Causal attention of the sequences of one row.

    Args:
        query: [T, heads, width]. key, value: [T, groups, width]; each key head serves heads / groups neighbours.
        lengths: of the sequences that stand one after another, T in all.
    Returns:
        [T, heads, width], of the type that came in; sums are float32.
    Source: Vaswani et al., arXiv:1706.03762; the backward from sums of each row, Dao et al., arXiv:2205.14135.
    """
    starts = torch.tensor([0, *accumulate(lengths)])
    made: Tensor = _Attend.apply(*map(_rows, (query, key, value)), starts, max(lengths), scaling)
    return made


def _rows(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()


class _Attend(Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, starts: Tensor, longest: int, scaling: float
    ) -> Tensor:
        out = torch.empty(query.shape, dtype=query.dtype)
        logsum = torch.empty(query.shape[:2])
        shape = _shape(query, key, value, scaling)

        def work(tasks: range, room: Tensor) -> None:
            pointers = (x.data_ptr() for x in (query, key, value, out, logsum, starts))
            _kernel().attention(byref(shape), *pointers, tasks.start, len(tasks), room.data_ptr())

        _dealt(work, (starts.numel() - 1) * key.shape[1], width=query.shape[2], longest=longest)
        ctx.save_for_backward(query, key, value, out, logsum, starts)
        ctx.longest, ctx.scaling = longest, scaling
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, out, logsum, starts = ctx.saved_tensors
        g = g.contiguous()
        made = [torch.empty(x.shape, dtype=x.dtype) for x in (query, key, value)]
        shape = _shape(query, key, value, ctx.scaling)

        def work(tasks: range, room: Tensor) -> None:
            pointers = (x.data_ptr() for x in (g, query, key, value, out, logsum, *made, starts))
            _kernel().attention_backward(byref(shape), *pointers, tasks.start, len(tasks), room.data_ptr())

        _dealt(work, (starts.numel() - 1) * key.shape[1], width=query.shape[2], longest=ctx.longest)
        return *made, None, None, None


def _shape(query: Tensor, key: Tensor, value: Tensor, scaling: float) -> _Shape:
    steps = (step for x in (query, key, value) for step in x.stride()[:2])
    return _Shape(query.shape[1], key.shape[1], query.shape[2], *steps, _TYPES[query.dtype], scaling)


def _dealt(work: Any, num_tasks: int, *, width: int, longest: int) -> None:
    """Give each thread sequences and groups of heads to work on, and room of its own."""
    shares = shares_of(num_tasks, fewest=1)
    rooms = [torch.empty(_kernel().attention_scratch(width, longest)) for _ in shares]
    list(threads().map(work, shares, rooms)) if len(shares) > 1 else work(shares[0], rooms[0])
