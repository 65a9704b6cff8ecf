"""Architectures whose states the sampler does not know: found before a token is drawn, and none besides."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from tests.models.families import PACKABLE, RECURRENT, VOCAB, tiny
from understudy.engines.local import LocalScorer
from understudy.errors import ModelError
from understudy.models.load import describe
from understudy.models.memory import ModelSize
from understudy.models.sampling import LocalSampler
from understudy.models.sampling_check import check_decoding
from understudy.models.sampling_memory import cache_bytes
from understudy.protocols import SampleRequest, SamplingParams, ScoreRequest

_SIZES = {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "bos_token_id": None, "pad_token_id": 0}
_MAMBA2 = {"state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8}


def made(family: str, **settings: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **_SIZES, **settings)).eval()


@pytest.mark.parametrize("family", [*PACKABLE, *RECURRENT])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_known_architectures_pass_in_every_precision(family: str, dtype: torch.dtype) -> None:
    check_decoding(tiny(family, dtype=dtype), vocab_size=VOCAB)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_is_read_alone_but_not_decoded_is_refused(dtype: torch.dtype) -> None:
    """RWKV takes no notice of a cache: every token would be drawn after the last one alone."""
    model = made("rwkv", attention_hidden_size=32, context_length=64, num_attention_heads=4).to(dtype)
    sampler = LocalSampler(model, vocab_size=VOCAB, max_length=64)
    with pytest.raises(ModelError, match=r"RwkvForCausalLM cannot be sampled here.*rollout\.server"):
        sampler.sample([SampleRequest(torch.tensor([3, 4]), 0)], SamplingParams(4), seed=0, step=0)


def test_the_size_of_a_model_without_attention_is_told() -> None:
    """The memory plan asks for it before every run, and met an AttributeError."""
    model = made("mamba2", **_MAMBA2)
    assert ModelSize.of(model.config, model.num_parameters()).width == 32
    assert cache_bytes(model.config, rows=1, length=8, dtype=torch.float32) >= 0


def test_mamba2_keeps_its_states_under_a_name_of_its_own() -> None:
    model = made("mamba2", **_MAMBA2)
    requests = [SampleRequest(torch.tensor([3, 4, 5, 6][: 1 + key]), key) for key in range(4)]
    samples = LocalSampler(model, vocab_size=VOCAB, max_length=64).sample(requests, SamplingParams(9), seed=0, step=0)
    for request, sample in zip(requests, samples, strict=True):
        context = torch.cat([request.prompt_ids, sample.completion_ids])
        position = torch.arange(9) + request.prompt_ids.numel()
        scores = LocalScorer(describe(model, None)).score(ScoreRequest([context], torch.zeros_like(position), position))
        torch.testing.assert_close(sample.logprobs, scores.sampled, atol=1e-5, rtol=0)
