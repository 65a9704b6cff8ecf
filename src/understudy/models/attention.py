"""Attention as batched products over key-value heads, for the one place where the fused kernel is slow.

Measured (docs/performance.md): on a CPU, forward and backward of the fused bfloat16 kernel take 4 to 5 times as long
below some 500 tokens. Everywhere else transformers' own choice stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "understudy_grouped"
_MAX_LENGTH = 512


@contextmanager
def grouped_attention(config: Any, device: torch.device) -> Iterator[None]:
    """Within the block a model of this config, on a CPU and with attention ``sdpa``, learns as said above."""
    text = config.get_text_config()
    if device.type != "cpu" or text._attn_implementation != "sdpa":
        yield
        return
    text._attn_implementation = NAME
    try:
        yield
    finally:
        text._attn_implementation = "sdpa"


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention function: query [B, H, q, D], key and value [B, G, k, D] to [B, q, H, D]."""
    special = dropout or any(kwargs.get(name) is not None for name in ("softcap", "position_bias", "cache", "s_aux"))
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    length = query.shape[2]
    learns = query.requires_grad and torch.is_grad_enabled() and dtype == torch.bfloat16 and length <= _MAX_LENGTH
    if special or key.shape[2] < length or not learns:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **kwargs
        )
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is None and causal and length > 1:
        attention_mask = torch.ones(length, key.shape[2], dtype=torch.bool).tril()
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return _grouped(query.to(dtype) * scaling, key.to(dtype), value.to(dtype), attention_mask), None


def _grouped(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Heads that share keys stand under each other in one product: nothing is repeated."""
    batch, heads, length, width = query.shape
    groups = key.shape[1]
    stacked = query.reshape(batch, groups, heads // groups * length, width)
    scores = torch.matmul(stacked, key.transpose(2, 3)).view(batch, heads, length, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
    weights = scores.softmax(-1, dtype=torch.float32).to(value.dtype)
    mixed = torch.matmul(weights.view(batch, groups, heads // groups * length, -1), value)
    return mixed.view(batch, heads, length, width).transpose(1, 2)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
