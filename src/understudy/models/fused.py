"""What a decoder layer does between its products, in C on a CPU, one pass over memory each, with gradients.

In torch a norm is six passes over its input forward and a dozen backward, a rotary embedding five, a gate two: at width
256 they take as long as the products. Numbers are as exact: float32 in between, one rounding where bfloat16 is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_float, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from understudy.models.native import library, shares_of, threads

_SOURCE = Path(__file__).with_name("layer_kernel.c")
_TYPES = {torch.float32: 0, torch.bfloat16: 1}
WIDEST = 16384
"""Numbers in the longest row that the kernels take."""
# Below this a second thread costs more than it saves.
_FEWEST_NUMBERS = 1 << 16
_P, _N, _T, _F = c_void_p, c_int64, c_int, c_float
_ARGUMENTS = {
    "norm": (_P, _T, _P, _P, _T, _N, _N, _F),
    "norm_backward": (_P, _T, _P, _T, _P, _P, _P, _N, _N, _F),
    "gate": (_P, _P, _P, _T, _N),
    "gate_backward": (_P, _P, _P, _P, _P, _T, _N),
    "turn": (_P, _T, _P, _P, _P, _P, _T, _N, _N, _N, _F),
    "turn_backward": (_P, _T, _P, _T, _P, _P, _P, _P, _P, _N, _N, _N, _F),
}


@cache
def kernel() -> Any:
    """The compiled functions, or None where they cannot be had."""
    made = library(_SOURCE)
    if made is not None:
        for name, arguments in _ARGUMENTS.items():
            getattr(made, name).argtypes, getattr(made, name).restype = arguments, None
    return made


def can_take(*tensors: Tensor) -> bool:
    """Whether all of these are of a kind that the kernels read: on the CPU, float32 or bfloat16, rows not too long."""
    kinds = (x.device.type == "cpu" and x.dtype in _TYPES and x.shape[-1] <= WIDEST for x in tensors)
    return kernel() is not None and all(kinds)


def rms_norm(x: Tensor, weight: Tensor, *, epsilon: float, dtype: torch.dtype) -> Tensor:
    """x / rms(x) over the last axis, times ``weight``. Source: Zhang and Sennrich, arXiv:1910.07467.

    Args:
        x: [..., n] float32 or bfloat16. weight: [n]. dtype: of the result.
    """
    made: Tensor = _Norm.apply(x, weight, epsilon, dtype)
    return made


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up, of one shape and dtype. Source: SwiGLU, Shazeer, arXiv:2002.05202."""
    made: Tensor = _Gate.apply(gate, up)
    return made


def turned(
    x: Tensor, weight: Tensor | None, cosine: Tensor, sine: Tensor, *, epsilon: float, dtype: torch.dtype
) -> Tensor:
    """Heads, normed where there is a weight, with the rotary embedding of their token.

    Args:
        x: [..., tokens, heads, width]. weight: [width] or None. cosine, sine: [..., tokens, width], without a
            gradient; one batch of them may stand for all. dtype: of the result.
    Source: RoFormer, Su et al., arXiv:2104.09864, in the form that turns halves.
    """
    shape = (*x.shape[:-2], x.shape[-1])
    angles = [angle.float().expand(shape).contiguous() for angle in (cosine, sine)]
    made: Tensor = _Turn.apply(x, weight, *angles, epsilon, dtype)
    return made


class _Norm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        x, wide = x.contiguous(), weight.detach().float().contiguous()
        y, n = torch.empty_like(x, dtype=dtype), x.shape[-1]

        def work(rows: range, _: Tensor | None) -> None:
            kernel().norm(*_at(x, rows, n), wide.data_ptr(), *_at(y, rows, n), len(rows), n, epsilon)

        _dealt(work, x.numel() // n, n)
        ctx.save_for_backward(x, wide)
        ctx.epsilon, ctx.dtype = epsilon, weight.dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        g, n = g.contiguous(), x.shape[-1]
        dx = torch.empty_like(x)

        def work(rows: range, dweight: Tensor | None) -> None:
            to = None if dweight is None else dweight.data_ptr()
            out = _at(dx, rows, n)[0]
            kernel().norm_backward(
                *(*_at(g, rows, n), *_at(x, rows, n), weight.data_ptr(), out, to), len(rows), n, ctx.epsilon
            )

        dweight = _dealt(work, x.numel() // n, n, like=weight if ctx.needs_input_grad[1] else None)
        return dx, None if dweight is None else dweight.to(ctx.dtype), None, None


class _Gate(Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        y = torch.empty_like(gate)

        def work(numbers: range, _: Tensor | None) -> None:
            (a, kind), b, to = _at(gate, numbers, 1), _at(up, numbers, 1)[0], _at(y, numbers, 1)[0]
            kernel().gate(a, b, to, kind, len(numbers))

        _dealt(work, gate.numel(), 1)
        ctx.save_for_backward(gate, up)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = ctx.saved_tensors
        g, dgate, dup = g.contiguous(), torch.empty_like(gate), torch.empty_like(up)

        def work(numbers: range, _: Tensor | None) -> None:
            places = (_at(x, numbers, 1)[0] for x in (g, gate, up, dgate, dup))
            kernel().gate_backward(*places, _TYPES[gate.dtype], len(numbers))

        _dealt(work, gate.numel(), 1)
        return dgate, dup


class _Turn(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, cosine: Tensor, sine: Tensor, epsilon: float, dtype: torch.dtype
    ) -> Tensor:
        x = x.contiguous()
        wide = None if weight is None else weight.detach().float().contiguous()
        y, (heads, width) = torch.empty_like(x, dtype=dtype), x.shape[-2:]

        def work(tokens: range, _: Tensor | None) -> None:
            angles = (_at(angle, tokens, width)[0] for angle in (cosine, sine))
            kernel().turn(
                *(*_at(x, tokens, heads * width), _pointer(wide), *angles, *_at(y, tokens, heads * width)),
                *(len(tokens), heads, width, epsilon),
            )

        _dealt(work, x.numel() // (heads * width), heads * width)
        ctx.save_for_backward(x if weight is not None else None, wide, cosine, sine)
        ctx.epsilon, ctx.shape, ctx.dtypes = epsilon, x.shape, (x.dtype, None if weight is None else weight.dtype)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, cosine, sine = ctx.saved_tensors
        g, (heads, width) = g.contiguous(), ctx.shape[-2:]
        dx = torch.empty(ctx.shape, dtype=ctx.dtypes[0])
        row = heads * width

        def work(tokens: range, dweight: Tensor | None) -> None:
            angles = (_at(angle, tokens, width)[0] for angle in (cosine, sine))
            out, kind = _at(dx, tokens, row)
            source = None if x is None else _at(x, tokens, row)[0]
            kernel().turn_backward(
                *(*_at(g, tokens, row), source, kind, _pointer(weight), *angles, out, _pointer(dweight)),
                *(len(tokens), heads, width, ctx.epsilon),
            )

        dweight = _dealt(work, g.numel() // row, row, like=weight if ctx.needs_input_grad[1] else None)
        return dx, None if dweight is None else dweight.to(ctx.dtypes[1]), None, None, None, None


def _pointer(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _at(x: Tensor, rows: range, n: int) -> tuple[int, int]:
    """Where the first of these rows of n numbers lies, and of which type they are."""
    return x.data_ptr() + rows.start * n * x.element_size(), _TYPES[x.dtype]


def _dealt(
    work: Callable[[range, Tensor | None], None], num_rows: int, row: int, *, like: Tensor | None = None
) -> Tensor | None:
    """Give each thread rows to work on; returns the sum of what they added to a tensor ``like`` this one."""
    shares = shares_of(num_rows, fewest=max(1, _FEWEST_NUMBERS // row))
    sums = [None if like is None else torch.zeros_like(like) for _ in shares]
    if len(shares) == 1:
        work(shares[0], sums[0])
    else:
        list(threads().map(work, shares, sums))
    return None if like is None else torch.stack([part for part in sums if part is not None]).sum(0)
