"""Causal attention of short sequences: ours in C against torch's fused kernel, forward and backward, CPU seconds.

python -m benchmarks.attention
python -m benchmarks.attention --heads 16 --groups 8 --width 128
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from understudy.models.attention_native import attend_in_c

LENGTHS = {
    "32 of 42 to 182": tuple(torch.randint(42, 183, (32,), generator=torch.Generator().manual_seed(0)).tolist()),
    "32 of 175": (175,) * 32,
    "8 of 600": (600,) * 8,
    "2 of 2,048": (2048,) * 2,
}


def by_torch(query: Tensor, key: Tensor, value: Tensor, lengths: Sequence[int], *, scaling: float) -> Tensor:
    """The same: a call a sequence, or one for all where they are of one length."""
    if len(set(lengths)) == 1:
        given = (x.unflatten(0, (len(lengths), lengths[0])).transpose(1, 2) for x in (query, key, value))
        mixed = functional.scaled_dot_product_attention(*given, is_causal=True, scale=scaling, enable_gqa=True)
        return mixed.transpose(1, 2).flatten(0, 1)
    parts = zip(*(x.split(list(lengths)) for x in (query, key, value)), strict=True)
    return torch.cat([by_torch(*part, (part[0].shape[0],), scaling=scaling) for part in parts])


def seconds(way: Callable[..., Tensor], given: Sequence[Tensor], lengths: Sequence[int]) -> tuple[float, float]:
    """Forward without a gradient, and backward."""
    with torch.no_grad():
        began = time.process_time()
        way(*given, lengths, scaling=0.1)
        forward = time.process_time() - began
    leaves = [x.detach().requires_grad_() for x in given]
    mixed = way(*leaves, lengths, scaling=0.1)
    began = time.process_time()
    torch.autograd.grad(mixed, leaves, torch.ones_like(mixed))
    return forward, time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in {"heads": 8, "groups": 4, "width": 32, "rounds": 9}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("ours over torch's, median of the rounds (smallest to largest)\n")
    print("| sequences | forward | backward |\n|---|---|---|")
    for name, lengths in LENGTHS.items():
        counts = (options.heads, options.groups, options.groups)
        given = [torch.randn(sum(lengths), count, options.width) for count in counts]
        for way in (attend_in_c, by_torch):
            seconds(way, given, lengths)
        rounds = [
            [
                a / b
                for a, b in zip(seconds(attend_in_c, given, lengths), seconds(by_torch, given, lengths), strict=True)
            ]
            for _ in range(options.rounds)
        ]
        cells = (f"{statistics.median(r):.2f} ({min(r):.2f} to {max(r):.2f})" for r in zip(*rounds, strict=True))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
