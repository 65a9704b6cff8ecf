"""A byte a value: blocks with a scale each, and a code that is fine where values are small.

Source: Dettmers et al., 8-bit Optimizers via Block-wise Quantization, arXiv:2110.02861, sections 2 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

BLOCK = 256
"""Values that share a scale; a large value spoils the precision of so many others only."""
_DECADES = 7


@dataclass(frozen=True, eq=False)
class Coded:
    """Values as bytes.

    Args:
        codes: [N] uint8, places in the code. scales: [ceil(N / 256)] float32, the largest magnitude of each block.
    """

    codes: UInt8[Tensor, "n"]
    scales: Float[Tensor, "blocks"]


@cache
def code(*, signed: bool) -> Float[Tensor, "256"]:
    """The 256 values that a byte stands for, rising: 0, 1, and in each of 7 decades twice as many as in the one below.

    The largest decade, 0.1 to 1, has 64 values of each sign, or 128 where there is no sign.
    """
    values = [0.0, 1.0]
    for decade in range(_DECADES):
        count = 2 ** (decade if signed else decade + 1)
        edges = torch.linspace(0.1, 1, count + 1, dtype=torch.float64)
        middles = ((edges[1:] + edges[:-1]) / 2 * 10.0 ** (decade - _DECADES + 1)).tolist()
        values += middles + ([-value for value in middles] if signed else [])
    return torch.tensor(sorted(values), dtype=torch.float64).float()


def encode(values: Float[Tensor, "n"], *, signed: bool, generator: torch.Generator) -> Coded:
    """Values rounded to the code: signed ones to the nearest, others to a neighbour by a draw, right on average.

    Unsigned values are divisors: what is above 0 stays above 0, and moves even where each step changes it little.
    """
    table = code(signed=signed).to(values.device)
    blocks = torch.nn.functional.pad(values.float(), (0, -values.numel() % BLOCK)).view(-1, BLOCK)
    scales = blocks.abs().amax(1)
    shares = blocks / scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    if signed:
        places = torch.bucketize(shares, (table[1:] + table[:-1]) / 2, out_int32=True)
    else:
        below = (torch.bucketize(shares, table, right=True, out_int32=True) - 1).clamp_(max=len(table) - 2)
        low, high = table[below], table[below + 1]
        draws = torch.rand(shares.shape, generator=generator, device=shares.device)
        places = (below + (draws < (shares - low) / (high - low))).clamp_(min=(shares > 0).int())
    return Coded(places.to(torch.uint8).view(-1)[: values.numel()], scales)


def decode(coded: Coded, *, signed: bool) -> Float[Tensor, "n"]:
    """The values that the bytes stand for, float32."""
    table = code(signed=signed).to(coded.codes.device)
    scales = coded.scales.repeat_interleave(BLOCK)[: coded.codes.numel()]
    return table[coded.codes.int()] * scales
