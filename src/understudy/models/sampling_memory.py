"""How many completions fit into memory together: what a row's keys, values, states and logits take."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.cache_utils import get_layer_types_and_kwargs

from understudy.errors import MemoryExhaustedError
from understudy.models.free_memory import free_memory
from understudy.models.sampling_cache import columns_of

# Of what is free: the rest is for one layer's copy while rows leave or join, for activations, and for others on a CPU.
_SHARE = {"cuda": 0.8, "cpu": 0.5}
# A draw holds the logits, their exponentials and a masked copy of them, float32 each.
_BYTES_A_LOGIT = 12
_STATES = ("linear_attention", "conv", "hybrid", "hybrid_sliding", "mamba", "mamba2")
_STATES_ONLY = ("linear_attention", "conv", "mamba", "mamba2")


def cache_bytes(config: PreTrainedConfig, *, rows: int, length: int, dtype: torch.dtype) -> int:
    """Bytes of the keys, values and recurrent states of ``rows`` texts of ``length`` tokens; an upper bound.

    Layers with a sliding window hold the window and a quarter; recurrent layers do not grow with the length, and
    their states count as float32 at least.

    Args:
        config: of the model. dtype: of keys and values.
    """
    text = config.get_text_config(decoder=True)
    types, kwargs = get_layer_types_and_kwargs(text)
    total = 0
    for layer_type, layer_kwargs, layer in zip(types, kwargs, text.per_layer_config, strict=True):
        if layer_type in _STATES:
            total += _state_elements(layer) * max(4, dtype.itemsize)
        if layer_type not in (*_STATES_ONLY, "dummy"):
            sliding = layer_type in ("sliding_attention", "hybrid_sliding")
            columns = columns_of(length, layer_kwargs.get("sliding_window") if sliding else None)
            total += columns * _elements_a_token(layer) * dtype.itemsize
    return rows * total


def _elements_a_token(config: Any) -> int:
    """Numbers in one token's key and value of one attention layer."""
    heads = config.num_attention_heads
    if getattr(config, "kv_lora_rank", None):  # latent attention keeps the latent and the rotated part, for all heads
        return config.kv_lora_rank + config.qk_rope_head_dim
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 2 * width * (getattr(config, "num_key_value_heads", None) or heads)


def _state_elements(config: Any) -> int:
    """Numbers in the states of one recurrent or convolutional layer: of every kind that the settings describe."""
    total = 0
    if (width := getattr(config, "mamba_d_state", None)) is not None:
        inner = getattr(config, "mamba_d_ssm", None) or int(config.mamba_expand * config.hidden_size)
        groups = getattr(config, "mamba_n_groups", None) or getattr(config, "mamba_ngroups", None) or 1
        total += (inner + 2 * groups * width) * config.mamba_d_conv + inner * width
    if (heads := getattr(config, "linear_num_value_heads", None)) is not None:
        keys = config.linear_num_key_heads * config.linear_key_head_dim
        values = heads * config.linear_value_head_dim
        total += (2 * keys + values) * config.linear_conv_kernel_dim + values * config.linear_key_head_dim
    if (kernel := getattr(config, "conv_L_cache", None)) is not None:
        total += config.hidden_size * kernel
    return total


def default_budget(device: torch.device) -> int | None:
    """Bytes that sampling may take where nobody said: half of what is free on a CPU, 4/5 on a GPU; None: no bound."""
    share = _SHARE.get(device.type)
    free = None if share is None else free_memory(device)
    return None if share is None or free is None else int(free * share)


def rows_that_fit(
    config: PreTrainedConfig, *, rows: int, length: int, dtype: torch.dtype, vocab_size: int, max_bytes: int | None
) -> int:
    """How many of ``rows`` completions may be decoded together.

    Args:
        config: of the model. length: longest text in tokens. dtype: of keys and values.
        max_bytes: for keys, values, states and logits; None for no bound.
    Raises:
        MemoryExhaustedError: not even one row fits.
    """
    if max_bytes is None:
        return rows
    each = cache_bytes(config, rows=1, length=length, dtype=dtype) + vocab_size * _BYTES_A_LOGIT
    if each > max_bytes:
        raise MemoryExhaustedError(
            f"no memory for the keys and values of one completion of {length:,} tokens",
            got=f"{max_bytes / 2**20:,.1f} MiB to use",
            expected=f"at least {each / 2**20:,.1f} MiB",
            remedy="Free memory, lower rollout.max_completion_length, shorten the prompts, or take a smaller model.",
        )
    return min(rows, max_bytes // each)
