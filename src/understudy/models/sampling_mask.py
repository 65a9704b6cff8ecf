"""The mask of a decode step, made once a wave instead of once a token and layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from understudy.models.attention import NAME
from understudy.models.sampling_cache import ReservedLayer


def reads_bias(config: Any, cache: DynamicCache) -> bool:
    """Whether a model of this config takes [B, 1, 1, L] biases as they are, and means the same by them in every layer.

    transformers hands such a mask to the attention untouched, which is wrong where a layer hides more than padding:
    sliding windows, chunks, recurrent states, positions in the mask (ALiBi).
    """
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ["full_attention"])
    windowed = getattr(text, "sliding_window", None) is not None and getattr(text, "layer_types", None) is None
    rotary = getattr(text, "rope_parameters", None) is not None
    plain = text._attn_implementation in ("sdpa", NAME) and kinds == {"full_attention"} and not windowed and rotary
    return plain and all(type(layer) is ReservedLayer for layer in cache.layers)


def additive_bias(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, L] bool, true where a key may be seen, to [B, 1, 1, L] of 0 and -inf."""
    bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, float("-inf"))
    return bias[:, None, None, :]
