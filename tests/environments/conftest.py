"""A tiny model that speaks, the same for every test of episodes."""

from __future__ import annotations

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from tests.models.test_chat import make_tokenizer
from understudy.models.sampling import LocalSampler


@pytest.fixture(scope="module")
def sampler() -> LocalSampler:
    return tiny_sampler()


def tiny_sampler() -> LocalSampler:
    torch.manual_seed(0)
    size = len(make_tokenizer())
    config = Qwen3Config(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=64,
    )
    return LocalSampler(Qwen3ForCausalLM(config), vocab_size=size, max_length=64, version=3)
