# mypy: disable-error-code="no-untyped-def, untyped-decorator"
"""Row statistics and the softmax's gradient in Triton: one read, and one read and write, of the logits.

Each program keeps a running maximum and sum in every lane and joins the lanes once, at the end of the row. Inside a
kernel the types are Triton's, which mypy does not know.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from understudy.models.kernels.statistics import RowStatistics

BLOCK, NUM_WARPS = 4096, 8
# Below every logit and still finite: a lane that saw nothing must not make NaN.
LOWEST = tl.constexpr(-1.0e30)


def row_statistics(logits: Tensor, *, temperature: float, entropy: bool = False) -> RowStatistics:
    """As ``rows.row_statistics``; float32 or bfloat16 logits."""
    rows, size = logits.shape
    top = torch.empty(rows, dtype=torch.float32, device=logits.device)
    mass, spread = torch.empty_like(top), torch.empty_like(top)
    if rows:
        with on_device_of(logits):
            _statistics[(rows,)](
                logits,
                top,
                mass,
                spread,
                logits.stride(0),
                size,
                1.0 / temperature,
                entropy=entropy,
                block=block_of(size),
                num_warps=NUM_WARPS,
            )
    return RowStatistics(top, mass, temperature, spread if entropy else None)


def softmax_gradient_(logits: Tensor, statistics: RowStatistics, factor: Tensor) -> Tensor:
    """As ``rows.softmax_gradient_``."""
    return scale_softmax_(logits, statistics, factor, rows=None)


def scale_softmax_(logits: Tensor, statistics: RowStatistics, factor: Tensor, *, rows: Tensor | None) -> Tensor:
    """The same for some rows ([m] int64) only, or for all."""
    count, size = logits.shape[0] if rows is None else rows.numel(), logits.shape[1]
    if not count:
        return logits
    block = block_of(size)
    scale = (factor / statistics.mass).to(torch.float32)
    with on_device_of(logits):
        _scale_softmax[(count, triton.cdiv(size, block))](
            logits,
            statistics.top,
            scale,
            scale if rows is None else rows,
            logits.stride(0),
            size,
            1.0 / statistics.temperature,
            picked=rows is not None,
            block=block,
            num_warps=NUM_WARPS,
        )
    return logits


def block_of(size: int) -> int:
    """Entries of a row that a program holds at one time."""
    return min(BLOCK, triton.next_power_of_2(size))


def on_device_of(logits: Tensor) -> torch.cuda.device:
    """The logits' device as the current one; on a CPU (Triton's interpreter) nothing."""
    return torch.cuda.device(logits.device if logits.is_cuda else -1)


@triton.jit
def _statistics(
    logits, tops, masses, spreads, stride, size, inverse_temperature, entropy: tl.constexpr, block: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, block)
    top = tl.full((block,), LOWEST, tl.float32)
    mass = tl.zeros((block,), tl.float32)
    spread = tl.zeros((block,), tl.float32)
    for start in range(0, size, block):
        here = start + lane < size
        value = tl.load(logits + row * stride + start + lane, mask=here, other=LOWEST).to(tl.float32)
        value = tl.maximum(value, LOWEST)  # -inf has no mass; finite, it makes no NaN either
        higher = tl.maximum(top, value)
        fall = (top - higher) * inverse_temperature
        keep = tl.exp(fall)
        shifted = (value - higher) * inverse_temperature
        # A lane that has seen nothing but padding holds LOWEST as its top: exp(0) there is no mass.
        add = tl.where(value > LOWEST, tl.exp(shifted), 0.0)
        if entropy:
            spread = keep * tl.where(mass > 0, spread + mass * fall, 0.0) + tl.where(add > 0, add * shifted, 0.0)
        mass = mass * keep + add
        top = higher
    highest = tl.max(top, 0)
    fall = (top - highest) * inverse_temperature
    keep = tl.exp(fall)
    total = tl.sum(mass * keep, 0)
    tl.store(tops + row, highest)
    tl.store(masses + row, total)
    if entropy:
        mean = tl.sum(tl.where(mass * keep > 0, keep * (spread + mass * fall), 0.0), 0) / total
        tl.store(spreads + row, mean)


@triton.jit
def _scale_softmax(
    logits, tops, scales, rows, stride, size, inverse_temperature, picked: tl.constexpr, block: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    if picked:
        row = tl.load(rows + row)
    at = tl.program_id(1) * block + tl.arange(0, block)
    place = logits + row * stride + at
    value = tl.load(place, mask=at < size, other=0.0).to(tl.float32)
    result = tl.exp((value - tl.load(tops + row)) * inverse_temperature) * tl.load(scales + row)
    tl.store(place, result, mask=at < size)
