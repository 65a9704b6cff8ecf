"""What this machine can do at most: the rate of matrix products, and of copies."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from understudy.bench.speed.phases import Clock

_WIDTHS = (512, 1024, 2048)
_COPIED_MIB = 128
_TRIES = 3


@dataclass(frozen=True)
class Limits:
    """The best of a few tries, by torch's own products and copies, on the threads and the clock of the steps.

    Args:
        float32_gflops, bfloat16_gflops: of square products. copy_gb_per_second: bytes read and bytes written.
    """

    float32_gflops: float
    bfloat16_gflops: float
    copy_gb_per_second: float

    def gflops(self, precision: str) -> float:
        """The rate of products in ``float32`` or ``bfloat16``."""
        return self.float32_gflops if precision == "float32" else self.bfloat16_gflops


def measure(threads: int, clock: Clock) -> Limits:
    """Measure the limits in this process; seconds."""
    torch.set_num_threads(threads)
    now = time.perf_counter if clock == "wall" else time.process_time
    return Limits(_product_rate(torch.float32, now), _product_rate(torch.bfloat16, now), _copy_rate(now))


def _product_rate(dtype: torch.dtype, now: Callable[[], float]) -> float:
    best = 0.0
    for width in _WIDTHS:
        one, other, out = (torch.randn(width, width).to(dtype) for _ in range(3))
        repeats = max(1, (2048 // width) ** 2)
        seconds = _best_seconds(lambda: torch.mm(one, other, out=out), repeats, now)  # noqa: B023
        best = max(best, 2 * width**3 * repeats / seconds / 1e9)
    return best


def _copy_rate(now: Callable[[], float]) -> float:
    source = torch.ones(_COPIED_MIB * 2**20, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2 * source.numel() / _best_seconds(lambda: target.copy_(source), 1, now) / 1e9


def _best_seconds(work: Callable[[], object], repeats: int, now: Callable[[], float]) -> float:
    work()
    found = []
    for _ in range(_TRIES):
        start = now()
        for _ in range(repeats):
            work()
        found.append(now() - start)
    return max(min(found), 1e-9)
