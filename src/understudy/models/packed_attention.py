"""transformers' attention interface, filled so that a model reads sequences that stand one after another in one row.

A model asks transformers for a mask, once a pass, and hands it to an attention function in every layer. Here the mask
is a ``SequenceMask``: where sequences begin and what a token sees, no tensor. It goes with the call, not with the
process, so that activation checkpointing finds it again when it runs a layer a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import causal_mask_function, sdpa_mask

from understudy.errors import ModelError
from understudy.models.attention import Kind, Rule, attend_sequences, attention_dtype, weighted_products
from understudy.models.attention_native import attend_in_c, can_attend
from understudy.models.varlen import attend_varlen, has_varlen

NAME = "understudy_sequences"


@dataclass(frozen=True, eq=False)
class SequenceMask:
    """What a model of ours gets for a mask.

    Args:
        lengths: of the sequences in the one row that is read, in order; None: every row is one sequence.
        rule: which keys of its sequence a token sees.
    """

    lengths: tuple[int, ...] | None
    rule: Rule


@dataclass(frozen=True)
class _Reading:
    lengths: tuple[int, ...] | None


_READING: ContextVar[_Reading | None] = ContextVar("reading", default=None)


@contextmanager
def reading(lengths: Sequence[int] | None) -> Iterator[None]:
    """Within the block a model whose attention is ``NAME`` reads one row of sequences, or a sequence in every row."""
    token = _READING.set(_Reading(None if lengths is None else tuple(lengths)))
    try:
        yield
    finally:
        _READING.reset(token)


@contextmanager
def our_kernels(config: Any) -> Iterator[None]:
    """Within the block a model with attention ``sdpa`` takes masks from transformers and kernels from here."""
    text = config.get_text_config()
    if text._attn_implementation != "sdpa":
        yield
        return
    text._attn_implementation = NAME
    try:
        yield
    finally:
        text._attn_implementation = "sdpa"


def mask_of(*, mask_function: Any = causal_mask_function, local_size: int | None = None, **kwargs: Any) -> Any:
    """transformers' mask function: sdpa's own tensors, or a ``SequenceMask`` inside ``reading``.

    Raises:
        ModelError: inside ``reading``, a model wants a mask that is not causal or depends on more than positions.
    """
    reading_now = _READING.get()
    if reading_now is None:
        return sdpa_mask(mask_function=mask_function, local_size=local_size, **kwargs)
    if kwargs.get("use_vmap") or "allow_is_bidirectional_skip" in kwargs:
        raise ModelError("the model's attention mask is not one of causal, sliding or chunked")
    causal = mask_function is causal_mask_function
    return SequenceMask(reading_now.lengths, Rule() if causal else Rule(mask_function, local_size))


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function: query [B, H, q, D], key and value [B, G, k, D] to [B, q, H, D].

    Raises:
        ModelError: inside ``reading``, the model does not hand the mask through, or asks for a bias of positions.
    """
    kind = Kind(query.shape[-1] ** -0.5 if scaling is None else scaling, dropout, softcap, s_aux)
    dtype, given = attention_dtype(query, value), value.dtype
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    with torch.autocast(query.device.type, enabled=False):
        if isinstance(attention_mask, SequenceMask):
            if kwargs.get("position_bias") is not None or kwargs.get("cache") is not None:
                raise ModelError("the model's attention has a bias of positions or a cache")
            mixed = _attend_sequences(query, key, value, attention_mask, kind, window=kwargs.get("sliding_window"))
        elif _READING.get() is not None:
            raise ModelError("the model's layers do not get the attention mask that it made")
        elif kind.is_plain:
            if attention_mask is not None and attention_mask.is_floating_point():
                attention_mask = attention_mask.to(dtype)
            options = {"dropout": dropout, "scaling": scaling, "is_causal": is_causal, **kwargs}
            mixed = sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0]
        else:
            mixed = _attend_with_cache(query, key, value, attention_mask, kind)
    return mixed.to(given), None


def _attend_sequences(
    query: Tensor, key: Tensor, value: Tensor, mask: SequenceMask, kind: Kind, *, window: int | None
) -> Tensor:
    longest = query.shape[2] if mask.lengths is None else max(mask.lengths)
    plain = kind.is_plain and kind.dropout == 0 and not mask.rule.binds(longest)
    if plain and can_attend(query, key, value, longest=longest):
        lengths = mask.lengths or (longest,) * query.shape[0]
        q, k, v = (x.transpose(1, 2).flatten(0, 1) for x in (query, key, value))
        return attend_in_c(q, k, v, lengths, scaling=kind.scaling).view(query.shape[0], -1, *q.shape[1:])
    if mask.lengths is None:
        return attend_sequences(query, key, value, mask.rule, kind)
    slides = mask.rule.binds(longest)
    if has_varlen(query, kind) and (not slides or mask.rule.span == window):
        span = mask.rule.span if slides else None
        return attend_varlen(query, key, value, mask.lengths, scaling=kind.scaling, span=span)
    runs = [(length, len(list(same))) for length, same in groupby(mask.lengths)]
    sizes = [length * count for length, count in runs]
    parts = zip(runs, *(x.split(sizes, dim=2) for x in (query, key, value)), strict=True)
    return torch.cat([_attend_run(q, k, v, run, mask.rule, kind) for run, q, k, v in parts], dim=1)


def _attend_run(query: Tensor, key: Tensor, value: Tensor, run: tuple[int, int], rule: Rule, kind: Kind) -> Tensor:
    """Sequences of equal length that follow each other, [1, H, length * count, D], as a batch; no copy is made."""
    length, count = run
    query, key, value = (x[0].unflatten(1, (count, length)).transpose(0, 1) for x in (query, key, value))
    return attend_sequences(query, key, value, rule, kind).flatten(0, 1)[None]


def _attend_with_cache(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, kind: Kind) -> Tensor:
    """As sdpa does it for plain kinds: without a mask a prompt meets a longer, still empty cache at its beginning."""
    length = query.shape[2]
    if mask is None and 1 < length < key.shape[2]:
        key, value = key[:, :, :length], value[:, :, :length]
    return weighted_products(query, key, value, mask, kind).transpose(1, 2)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, mask_of)
