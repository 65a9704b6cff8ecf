"""The fast decode step gives what the model's own gives, is refused where it is not meant, and checks itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.families import VOCAB, tiny
from understudy.models import decode_step, decode_weights
from understudy.models.architectures import why_not_packed
from understudy.models.decode_step import DecodeStep, Verified, step_of
from understudy.models.decode_weights import reason_against
from understudy.models.sampling import LocalSampler
from understudy.models.sampling_cache import Source, join
from understudy.models.sampling_prefill import next_logits, read_prompts
from understudy.protocols import SampleRequest, SamplingParams

PROMPTS = [(3, 4, 5, 6), (7,), (8, 9, 10, 11, 12, 13)]


def model_of(family: str, **changes: Any) -> Any:
    model = tiny(family, dtype=torch.float32)
    for name, value in changes.items():
        setattr(model.config, name, value)
    return model


def adapted(family: str) -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(2)
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    return get_peft_model(model_of(family), config).eval()


def plain_mistral() -> Any:
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    return MistralForCausalLM(
        MistralConfig(vocab_size=VOCAB, num_key_value_heads=1, sliding_window=None, initializer_range=0.2, **sizes)
    ).eval()


MODELS: dict[str, Callable[[], Any]] = {
    "llama": lambda: model_of("llama"),
    "qwen2 with biases": lambda: model_of("qwen2"),
    "qwen3": lambda: model_of("qwen3"),
    "mistral, one key head": plain_mistral,
    "adapter": lambda: adapted("qwen3"),
}


def steps_from(model: Any, forward: Any, count: int) -> list[Tensor]:
    """Logits of so many steps after prompts of different lengths."""
    prefix = read_prompts(model, PROMPTS, reserve=30, device=torch.device("cpu"))
    lengths = torch.tensor([[len(prompt)] for prompt in PROMPTS])
    start = prefix.length - lengths
    made = []
    for step in range(count):
        ids = torch.tensor([[3 + step], [4 + 2 * step], [20 - step]])
        mask = torch.arange(prefix.length + step + 1) >= start
        made.append(forward(ids, mask=mask, position=lengths + step, cache=prefix.cache))
    return made


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_models_own_step(name: str) -> None:
    model = MODELS[name]()
    assert reason_against(model) is None
    own = steps_from(model, lambda ids, **kw: next_logits(model, ids, **kw), 6)
    for one, other in zip(steps_from(model, DecodeStep(model, length=40), 6), own, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_large_weights_in_bfloat16_stay_within_its_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of("qwen2")
    exact = steps_from(model, DecodeStep(model, length=40), 6)
    for fewest, moved in ((1, True), (1 << 19, False)):
        monkeypatch.setattr(decode_weights, "_WIDE", fewest)
        rounded = steps_from(model, DecodeStep(model, length=40, wide=torch.bfloat16), 6)
        gaps = [float((one - other).abs().max()) for one, other in zip(rounded, exact, strict=True)]
        assert (max(gaps) > 1e-4) == moved
        assert max(gaps) < 0.02 * max(float(one.abs().max()) for one in exact)
        assert {one.dtype for one in rounded} == {torch.float32}


@torch.no_grad()
def test_prompts_that_were_read_in_bfloat16_are_kept_in_float32() -> None:
    model = model_of("llama")
    own = lambda ids, **kw: next_logits(model, ids, **kw)  # noqa: E731
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast = step_of(model, num_steps=20, length=40)
        assert isinstance(fast, Verified)
        made, rounded = steps_from(model, fast, 6), steps_from(model, own, 6)
        assert fast._chosen is fast._shortcut
        prefix = read_prompts(model, PROMPTS, reserve=30, device=torch.device("cpu"))
        fast(
            torch.tensor([[3], [4], [5]]),
            mask=torch.ones(3, prefix.length + 1, dtype=torch.bool),
            position=torch.tensor([[4], [1], [6]]),
            cache=prefix.cache,
        )
    assert prefix.cache.layers[0].values.dtype == torch.float32
    exact = steps_from(model, own, 6)
    for one, other, best in zip(made[1:], rounded[1:], exact[1:], strict=True):
        assert (one - best).abs().max() < (other - best).abs().max(), "float32 between the products pays in accuracy"


@torch.no_grad()
def test_keys_by_column_follow_rows_that_leave_and_a_cache_that_grows() -> None:
    model = model_of("qwen3")

    def run(forward: Any, *, reserve: int) -> list[Tensor]:
        prefix = read_prompts(model, PROMPTS, reserve=reserve, device=torch.device("cpu"))
        lengths, cache = torch.tensor([[len(prompt)] for prompt in PROMPTS]), prefix.cache
        start, made = prefix.length - lengths, []
        for step in range(8):
            if step == 4:
                lengths, start = lengths[[2, 0]], start[[2, 0]]
                cache = join([Source(cache, torch.tensor([2, 0]))], length=prefix.length + step, reserve=reserve)
            mask = torch.arange(prefix.length + step + 1) >= start
            ids = torch.full((len(lengths), 1), 3 + step)
            made.append(forward(ids, mask=mask, position=lengths + step, cache=cache))
        return made

    own = run(lambda ids, **kw: next_logits(model, ids, **kw), reserve=30)
    for one, other in zip(run(DecodeStep(model, length=40), reserve=9), own, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_adapters_that_are_switched_off_are_left_out() -> None:
    model = adapted("qwen3")
    on = steps_from(model, DecodeStep(model, length=40), 1)[0]
    with model.disable_adapter():
        off = steps_from(model, DecodeStep(model, length=40), 1)[0]
        own = steps_from(model, lambda ids, **kw: next_logits(model, ids, **kw), 1)[0]
    torch.testing.assert_close(off, own, atol=1e-5, rtol=1e-5)
    assert (on - off).abs().max() > 0.01


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: model_of("gemma"), "Gemma"),
        (lambda: model_of("mistral"), "sliding"),
        (lambda: model_of("qwen3", hidden_act="gelu"), "silu"),
        (lambda: tiny("qwen3", dtype=torch.bfloat16), "float32"),
        (lambda: watched(model_of("qwen3")), "watched"),
        (lambda: replaced(model_of("qwen3")), "linear"),
    ],
)
def test_other_models_keep_their_own(make: Callable[[], Any], reason: str) -> None:
    found = reason_against(make())
    assert found is not None
    assert reason in found


def watched(model: Any) -> Any:
    model.model.layers[0].register_forward_hook(lambda *_: None)
    return model


def replaced(model: Any) -> Any:
    model.model.layers[1].mlp.up_proj = nn.Sequential(model.model.layers[1].mlp.up_proj)
    return model


@torch.no_grad()
def test_a_step_that_differs_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    """As if a later transformers computed the same classes in another way."""
    model = model_of("qwen3")
    wrong = DecodeStep(model, length=40)
    wrong.weights = replace(wrong.weights, epsilon=0.5)

    def own(ids: Tensor, **kw: Any) -> Tensor:
        return next_logits(model, ids, **kw)

    with caplog.at_level(logging.WARNING):
        got = steps_from(model, Verified(wrong, own), 4)
    for one, other in zip(got, steps_from(model, own, 4), strict=True):
        torch.testing.assert_close(one, other)
    assert caplog.text.count("its model's own") + caplog.text.count("takes the model's own") == 1


def test_a_model_that_reads_packed_contexts_decodes_fast_too() -> None:
    """What a run's student is: our attention, fused layers, and a sampler on the same module."""
    model = model_of("qwen3")
    assert why_not_packed(model) is None
    assert isinstance(step_of(model, num_steps=16, length=20), Verified)


def test_short_completions_keep_the_models_own_step() -> None:
    model = model_of("qwen3")
    assert isinstance(step_of(model, num_steps=16, length=20), Verified)
    assert not isinstance(step_of(model, num_steps=15, length=20), Verified)


def test_new_weights_are_seen_by_the_next_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training changes the weights in place; the copies of the last call are not used again."""
    model = model_of("qwen3")
    requests = [SampleRequest(torch.tensor([3, 4]), 0)]
    params = SamplingParams(max_completion_length=20)
    sampler = LocalSampler(model, vocab_size=VOCAB, max_length=64)
    sampler.sample(requests, params, seed=0, step=0)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.add_(0.3)
    fast = sampler.sample(requests, params, seed=0, step=0)[0]
    monkeypatch.setattr(decode_step, "reason_against", lambda model: "not here")
    own = sampler.sample(requests, params, seed=0, step=0)[0]
    assert fast.completion_ids.tolist() == own.completion_ids.tolist()
    torch.testing.assert_close(fast.logprobs, own.logprobs, atol=1e-5, rtol=0)
