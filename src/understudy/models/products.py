"""Products of float32 matrices whose factors are rounded on the way in: a processor's short formats, float32 sums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

# One entry for each open block of ``exact_products``.
_EXACT: list[None] = []


@contextmanager
def rounded_factors(device_type: str, *, wanted: bool = True) -> Iterator[None]:
    """Let products of float32 matrices round their factors: to bfloat16 on a CPU, to TF32 on a GPU.

    Sums and results stay float32, so factors that bfloat16 holds exactly lose nothing. It is a switch of the whole
    process: hold it around products alone. Where the processor has no such products, and inside ``exact_products``,
    nothing changes.

    Args:
        device_type: where the matrices are. wanted: False leaves all as it is.
    """
    place, format_ = _switch(device_type) if wanted and not _EXACT else (None, "")
    if place is None:
        yield
        return
    before = place.fp32_precision
    place.fp32_precision = format_
    try:
        yield
    finally:
        place.fp32_precision = before


@contextmanager
def exact_products() -> Iterator[None]:
    """Within the block nobody's factors are rounded, on any thread.

    For as long as another thread has products of its own: they would be rounded with those of ``rounded_factors``, at
    moments that the clock decides.
    """
    _EXACT.append(None)
    try:
        yield
    finally:
        _EXACT.pop()


def _switch(device_type: str) -> tuple[Any, str]:
    """PyTorch's place for the choice, or None on other devices and before PyTorch 2.9, and what is asked for."""
    kinds: dict[str, tuple[Any, str]] = {
        "cpu": (torch.backends.mkldnn, "bf16"),
        "cuda": (torch.backends.cuda, "tf32"),
    }
    backend, format_ = kinds.get(device_type, (None, ""))
    place = getattr(backend, "matmul", None)
    return (place, format_) if hasattr(place, "fp32_precision") else (None, "")
