"""A tiny model that speaks, the same for every test of episodes."""

from __future__ import annotations

import pytest

from tests.conformance.tiny import random_sampler
from tests.models.test_chat import make_tokenizer
from understudy.models.sampling import LocalSampler


@pytest.fixture(scope="module")
def sampler() -> LocalSampler:
    return tiny_sampler()


def tiny_sampler() -> LocalSampler:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return random_sampler(vocab_size=len(make_tokenizer()), max_length=64, version=3, **sizes, **heads)
