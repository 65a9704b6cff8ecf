"""Keys and values of a batch that decodes: storage made once, rows that leave and rows that join.

transformers' own growing cache concatenates, which copies every key once a token; on a CPU that is most of the time
of a small model's decode step (4/5 at 2 layers of width 128).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import (
    CacheLayerMixin,
    DummyLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionAndFullAttentionLayer,
    LinearAttentionAndSlidingWindowAttentionLayer,
    LinearAttentionLayer,
    get_layer_types_and_kwargs,
)


class ReservedLayer(CacheLayerMixin):
    """One attention layer's keys and values, [rows, heads, reserve, width], filled from the left.

    Args:
        reserve: positions to make room for at once; more are added when they are needed.
        window: only so many last positions are ever looked at, the query's own among them; None for all. Older ones
            are dropped from time to time (``window_columns`` says how many are kept), the model's mask hides the rest.
    """

    keys: Tensor
    values: Tensor

    def __init__(self, reserve: int, window: int | None = None) -> None:
        super().__init__()
        self.reserve, self.window, self.is_sliding = reserve, window, window is not None
        self.length, self.dropped = 0, 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make the storage for the rows and widths of the first keys and values."""
        self.dtype, self.device = key_states.dtype, key_states.device
        columns = columns_of(self.reserve, self.window)
        self.keys, self.values = _room_for(key_states, columns), _room_for(value_states, columns)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Append [rows, heads, new, width] keys and values; returns all that a query of these may look at."""
        new = key_states.shape[2]
        if not self.is_initialized:
            ReservedLayer.lazy_initialization(self, key_states, value_states)
        if self.window is not None and self.length == 0 and new >= self.window:
            return self._keep_last(key_states, value_states)
        start = self.extend(new)
        end = start + new
        self.keys[:, :, start:end] = key_states
        self.values[:, :, start:end] = value_states
        return self.keys[:, :, :end], self.values[:, :, :end]

    def extend(self, new: int) -> int:
        """Count ``new`` more positions in, whose keys and values the caller writes; returns the first one's column."""
        self._make_room(new)
        self.length += new
        return self.length - self.dropped - new

    def _keep_last(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """A first text longer than the window is looked at as a whole, but only its last window is kept."""
        self.length = keys.shape[2]
        self.dropped = self.length - self._last
        self.keys[:, :, : self._last] = keys[:, :, self.dropped :]
        self.values[:, :, : self._last] = values[:, :, self.dropped :]
        return keys, values

    @property
    def _last(self) -> int:
        return self.length if self.window is None else min(self.length, self.window - 1)

    def _dropped_for(self, new: int) -> int:
        """How many positions are no longer stored once ``new`` more are."""
        full = self.is_initialized and self.length - self.dropped + new > self.keys.shape[2]
        return self.length - self._last if full and self.window is not None else self.dropped

    def _make_room(self, new: int) -> None:
        dropped, stored = self._dropped_for(new), self.length - self.dropped
        needed = self.length - dropped + new
        if needed > self.keys.shape[2]:
            self.reserve = max(self.length + new, self.reserve + self.reserve // 2)
        for name in ("keys", "values"):
            old = getattr(self, name)
            if dropped > self.dropped:
                old[:, :, : self.length - dropped] = old[:, :, dropped - self.dropped : stored].clone()
            if needed > old.shape[2]:
                grown = _room_for(old, max(needed, columns_of(self.reserve, self.window)))
                grown[:, :, : self.length - dropped] = old[:, :, : self.length - dropped]
                setattr(self, name, grown)
        self.dropped = dropped

    def forget_last(self) -> None:
        """Take back the position that was appended last; not for windows, which may have moved for it."""
        self.length -= 1

    def rebuild(self, parts: Sequence[tuple[ReservedLayer, Tensor]], *, length: int, reserve: int) -> None:
        """Take the rows of ``parts``, one below the other, each part's last ``length`` positions, ending together."""
        kept = [min(length, part._last) for part, _ in parts]
        stored = max(kept)
        columns = max(columns_of(reserve, self.window), stored)
        for name in ("keys", "values"):
            old = [getattr(part, name) for part, _ in parts]
            new = old[0].new_empty(sum(rows.numel() for _, rows in parts), old[0].shape[1], columns, old[0].shape[3])
            start = 0
            for (part, rows), source, count in zip(parts, old, kept, strict=True):
                last = part.length - part.dropped
                place = new[start : start + rows.numel(), :, :stored]
                # Zeros, since a masked position still takes part in a product with weight 0.
                place[:, :, : stored - count] = 0
                place[:, :, stored - count :] = source[:, :, last - count : last].index_select(0, rows)
                start += rows.numel()
            setattr(self, name, new)
        self.length, self.dropped, self.reserve = length, length - stored, reserve

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the rows ``beam_idx`` [rows], in that order; a row may be taken more than once."""
        self.rebuild([(self, beam_idx)], length=self.length, reserve=self.reserve)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset of the keys that the mask must cover."""
        dropped = self._dropped_for(query_length)
        return self.length + query_length - dropped, dropped

    def get_seq_length(self) -> int:
        """Positions seen."""
        return self.length

    def get_max_length(self) -> int:
        """-1: no bound."""
        return -1


class ReservedHybridLayer(LinearAttentionLayer, ReservedLayer):  # type: ignore[misc, override]
    """A layer with recurrent states and attention side by side; the arguments are those of ``ReservedLayer``."""

    is_compileable = False

    def __init__(self, reserve: int, window: int | None = None, *, number_of_states: int = 1) -> None:
        ReservedLayer.__init__(self, reserve, window)
        LinearAttentionLayer.__init__(self, number_of_states=number_of_states)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the rows ``beam_idx`` [rows], in that order; a row may be taken more than once."""
        LinearAttentionLayer.reorder_cache(self, beam_idx)  # type: ignore[arg-type]
        ReservedLayer.reorder_cache(self, beam_idx)


def in_float32(stored: ReservedLayer) -> ReservedLayer:
    """The layer, what it holds made float32 where prompts were read in bfloat16: small products are faster in it."""
    if stored.values.dtype != torch.float32 or stored.keys.dtype != torch.float32:
        stored.keys, stored.values = stored.keys.float(), stored.values.float()
    return stored


def columns_of(reserve: int, window: int | None) -> int:
    """Positions that a layer stores: of a window its last ones, and a quarter more so that it moves them rarely."""
    return reserve if window is None else min(reserve, window - 1 + max(window // 4, 32))


def _room_for(like: Tensor, columns: int) -> Tensor:
    rows, heads, _, width = like.shape
    return like.new_empty(rows, heads, columns, width)


def new_cache(config: PreTrainedConfig, reserve: int) -> DynamicCache:
    """An empty cache for a model of this config; attention layers get ``reserve`` positions at once.

    Layers that keep another kind of state (recurrent, convolutional) stay as transformers makes them.
    """
    cache = DynamicCache(config=config)
    types, kwargs = get_layer_types_and_kwargs(config.get_text_config(decoder=True))
    cache.layers = [_reserved(*one, reserve) for one in zip(cache.layers, types, kwargs, strict=True)]
    return cache


def _reserved(layer: Any, layer_type: str, kwargs: dict[str, Any], reserve: int) -> Any:
    # Only a sliding window may forget: a chunk's mask still counts from the first position.
    window = kwargs.get("sliding_window") if layer_type in ("sliding_attention", "hybrid_sliding") else None
    if type(layer) in (DynamicLayer, DynamicSlidingWindowLayer):
        return ReservedLayer(reserve, window)
    if type(layer) in (LinearAttentionAndFullAttentionLayer, LinearAttentionAndSlidingWindowAttentionLayer):
        return ReservedHybridLayer(reserve, window, number_of_states=layer.number_of_states)
    return layer


@dataclass(frozen=True, eq=False)
class Source:
    """Rows to take from a cache. Args: cache: whose. rows: [n] int64, which."""

    cache: Any
    rows: Tensor


def can_join(cache: Any) -> bool:
    """Whether rows of two caches of this model can be put together (every layer's state is of a known kind)."""
    known = (ReservedLayer, LinearAttentionLayer, DummyLayer)
    return all(isinstance(layer, known) for layer in cache.layers)


def join(sources: Sequence[Source], *, length: int, reserve: int) -> Any:
    """One cache, the first source's own, with the rows of all sources; the others' are given up.

    Args:
        sources: caches whose rows all end at their last position. length: positions to keep.
        reserve: positions to make room for.
    """
    for layers in zip(*(source.cache.layers for source in sources), strict=True):
        rows = [source.rows for source in sources]
        if isinstance(layers[0], LinearAttentionLayer):
            _join_states(layers, rows)
        if isinstance(layers[0], ReservedLayer):
            layers[0].rebuild(list(zip(layers, rows, strict=True)), length=length, reserve=reserve)
            for layer in layers[1:]:
                layer.keys = layer.values = None
    return sources[0].cache


def _join_states(layers: Sequence[LinearAttentionLayer], rows: Sequence[Tensor]) -> None:
    first = layers[0]
    for name in ("conv_states", "recurrent_states"):
        for index, state in getattr(first, name).items():
            if state is not None:
                parts = [
                    getattr(layer, name)[index].index_select(0, keep) for layer, keep in zip(layers, rows, strict=True)
                ]
                getattr(first, name)[index] = torch.cat(parts)
