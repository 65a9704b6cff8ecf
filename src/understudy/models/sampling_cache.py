"""Keys and values of a batch that decodes: storage made once, rows that can leave.

transformers' own growing cache concatenates, which copies every key once a token; on a CPU that is most of the time
of a small model's decode step (4/5 at 2 layers of width 128).
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import CacheLayerMixin, DynamicLayer, DynamicSlidingWindowLayer


class ReservedLayer(CacheLayerMixin):
    """One attention layer's keys and values, [rows, heads, reserve, width], filled from the left.

    It also stands in for sliding-window layers: they keep every key, and the model's mask hides the old ones.

    Args:
        reserve: positions to make room for at once; more are added when they are needed.
    """

    is_sliding = False
    keys: Tensor
    values: Tensor

    def __init__(self, reserve: int) -> None:
        super().__init__()
        self.reserve, self.length = reserve, 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make the storage for the rows and widths of the first keys and values."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = _room_for(key_states, self.reserve), _room_for(value_states, self.reserve)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Append [rows, heads, new, width] keys and values; returns all so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        if end > self.keys.shape[2]:
            self._grow(end)
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def _grow(self, needed: int) -> None:
        self.reserve = max(needed, self.reserve + self.reserve // 2)
        self.reorder_cache(torch.arange(self.keys.shape[0], device=self.device))

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the rows ``beam_idx`` [rows], in that order; a row may be taken more than once."""
        for name in ("keys", "values"):
            old = getattr(self, name)[:, :, : self.length].index_select(0, beam_idx)
            new = _room_for(old, self.reserve)
            new[:, :, : self.length] = old
            setattr(self, name, new)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of the keys that the mask must cover."""
        return self.length + query_length, 0

    def get_seq_length(self) -> int:
        """Positions filled."""
        return self.length

    def get_max_length(self) -> int:
        """-1: no bound."""
        return -1


def _room_for(like: Tensor, reserve: int) -> Tensor:
    rows, heads, _, width = like.shape
    return like.new_empty(rows, heads, reserve, width)


def new_cache(config: PreTrainedConfig, reserve: int) -> DynamicCache:
    """An empty cache for a model of this config; attention layers get ``reserve`` positions at once.

    Layers that keep another kind of state (recurrent, convolutional) stay as transformers makes them.
    """
    cache = DynamicCache(config=config)
    plain = (DynamicLayer, DynamicSlidingWindowLayer)
    cache.layers = [ReservedLayer(reserve) if type(layer) in plain else layer for layer in cache.layers]
    return cache
