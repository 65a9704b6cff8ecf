"""Counter-based random numbers: a draw depends on its key alone, never on order, packing or rank.

The generator is SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) used as a keyed hash: each part of the
key is mixed in turn. No state exists, so nothing has to be saved for a run to resume bit for bit.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch
from torch import Tensor

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(value: np.ndarray) -> np.ndarray:
    value = value + _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


def _as_words(part: int | Tensor | np.ndarray) -> np.ndarray:
    if isinstance(part, Tensor):
        part = part.detach().cpu().numpy()
    return np.asarray(part, dtype=np.int64).astype(np.uint64)


def bits(*, seed: int, step: int, purpose: str, rollout: int | Tensor, index: int | Tensor) -> np.ndarray:
    """64 random bits for each broadcast (rollout, index) pair under one (seed, step, purpose)."""
    with np.errstate(over="ignore"):
        word = _mix(_as_words(seed))
        for part in (step, zlib.crc32(purpose.encode()), rollout, index):
            word = _mix(word ^ _mix(_as_words(part)))
    return word


def uniform(*, seed: int, step: int, purpose: str, rollout: int | Tensor, index: int | Tensor) -> Tensor:
    """Uniform draws in [0, 1) with 53 random bits, float64, of the broadcast shape of ``rollout`` and ``index``.

    The same key gives the same draw wherever it is used, whatever the packing or the number of ranks.
    """
    word = bits(seed=seed, step=step, purpose=purpose, rollout=rollout, index=index)
    return torch.from_numpy(np.asarray((word >> np.uint64(11)).astype(np.float64) * 2.0**-53))


def derived_seed(*, seed: int, step: int, purpose: str) -> int:
    """A 63-bit seed for a library's own generator, one for each (seed, step, purpose)."""
    return int(bits(seed=seed, step=step, purpose=purpose, rollout=0, index=0)) >> 1


def permutation(count: int, *, seed: int, purpose: str, epoch: int = 0) -> list[int]:
    """A keyed shuffle of ``range(count)``: item i moves by its own draw, so the order is reproducible anywhere."""
    draws = bits(seed=seed, step=epoch, purpose=purpose, rollout=0, index=torch.arange(count))
    return np.argsort(draws, kind="stable").tolist()
