"""Tiny random models of the architecture families that users bring; configurations only, nothing is downloaded."""

from __future__ import annotations

import logging
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

VOCAB = 40
_SMALL = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
_GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 6, "layer_types": None}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": True}
_MAMBA = {"mamba_d_state": 8, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_n_groups": 1, "mamba_chunk_size": 8}

PACKABLE: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "gemma": {"head_dim": 8},
    "gemma2": {**_GEMMA, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0},
    "gemma3_text": {**_GEMMA, "sliding_window_pattern": 2},
    "mistral": {"sliding_window": 6, "head_dim": 8},
    "phi": {"partial_rotary_factor": 0.5},
    "phi3": {"sliding_window": None},
    "smollm3": {"no_rope_layers": [1, 0]},
    "olmo2": {},
    "qwen3_moe": {**_EXPERTS, "head_dim": 8},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 9},
    "gpt_oss": {"head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 6},
    "llama4_text": {
        "head_dim": 8, "num_local_experts": 2, "num_experts_per_tok": 1, "intermediate_size_mlp": 48,
        "attention_chunk_size": 6,
    },
    "gpt2": {"n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 128},
}  # fmt: skip
"""Model type: its settings beyond the common ones. Windows and chunks are shorter than the contexts of the tests."""

RECURRENT: dict[str, dict[str, Any]] = {
    "falcon_h1": {**_MAMBA, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "head_dim": 8},
    "bamba": {**_MAMBA, "mamba_n_heads": 8, "mamba_d_head": 8, "attn_layer_indices": [1]},
}
"""Hybrids of attention and state-space layers, which read one context after another and cannot be packed."""


def tiny(family: str, *, dtype: torch.dtype = torch.float64) -> PreTrainedModel:
    """A random model of the family in evaluation mode; the same weights in every precision."""
    settings = {**_SMALL, **{**PACKABLE, **RECURRENT}[family]}
    config = AutoConfig.for_model(family, **{k: v for k, v in settings.items() if k != "layer_types" or v})
    torch.manual_seed(0)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    experts = "eager" if dtype == torch.float64 else None  # the grouped product has no float64
    return AutoModelForCausalLM.from_config(config, experts_implementation=experts).to(dtype).eval()
