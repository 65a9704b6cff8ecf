"""The decoding step in C gives what the one in torch gives, row by row, on any machine with a compiler."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.test_decode_step import MODELS, PROMPTS, model_of, steps_from
from understudy.models import decode_native, native
from understudy.models.decode_native import NativeStep, native_step
from understudy.models.decode_step import DecodeStep, step_of
from understudy.models.decode_weights import step_weights
from understudy.models.sampling import LocalSampler
from understudy.models.sampling_cache import Source, join
from understudy.models.sampling_prefill import next_logits, read_prompts
from understudy.protocols import SampleRequest, SamplingParams

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def native_of(model: Any, length: int = 40) -> NativeStep:
    made = native_step(step_weights(model, length=length))
    assert made is not None
    return made


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_models_own_step(name: str) -> None:
    model = MODELS[name]()
    own = steps_from(model, lambda ids, **kw: next_logits(model, ids, **kw), 6)
    for one, other in zip(steps_from(model, native_of(model), 6), own, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("width", "inner", "head_width", "heads", "groups"), [(40, 52, 10, 3, 1), (96, 70, 24, 4, 4)])
def test_widths_that_fill_no_register(width: int, inner: int, head_width: int, heads: int, groups: int) -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": width, "intermediate_size": inner, "head_dim": head_width, "num_hidden_layers": 2}
    config = Qwen3Config(
        vocab_size=50, num_attention_heads=heads, num_key_value_heads=groups, initializer_range=0.3, **sizes
    )
    model = Qwen3ForCausalLM(config).eval()
    own = steps_from(model, DecodeStep(model, length=80), 16)
    for one, other in zip(steps_from(model, native_of(model, 80), 16), own, strict=True):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_rows_that_leave_and_a_cache_that_grows_are_followed() -> None:
    model = model_of("qwen3")

    def run(forward: Any) -> list[Tensor]:
        prefix = read_prompts(model, PROMPTS, reserve=9, device=torch.device("cpu"))
        lengths, cache = torch.tensor([[len(prompt)] for prompt in PROMPTS]), prefix.cache
        start, made = prefix.length - lengths, []
        for step in range(8):
            if step == 4:
                lengths, start = lengths[[2, 0]], start[[2, 0]]
                cache = join([Source(cache, torch.tensor([2, 0]))], length=prefix.length + step, reserve=9)
            mask = torch.arange(prefix.length + step + 1) >= start
            ids = torch.full((len(lengths), 1), 3 + step)
            made.append(forward(ids, mask=mask, position=lengths + step, cache=cache))
        return made

    for one, other in zip(run(native_of(model)), run(DecodeStep(model, length=40)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_column_that_may_not_be_seen_amid_a_row_is_not() -> None:
    model = model_of("llama")
    prefixes = [read_prompts(model, PROMPTS, reserve=30, device=torch.device("cpu")) for _ in range(2)]
    lengths = torch.tensor([[len(prompt)] for prompt in PROMPTS])
    mask = torch.arange(prefixes[0].length + 1) >= prefixes[0].length - lengths
    mask[:, -3] = False
    ids = torch.tensor([[3], [4], [5]])
    one, other = (
        forward(ids, mask=mask, position=lengths, cache=prefix.cache)
        for forward, prefix in zip((native_of(model), DecodeStep(model, length=40)), prefixes, strict=True)
    )
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_what_stands_beside_a_row_changes_none_of_its_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in tiles of 12, 4 or 1, in one thread or two, the head's columns too: the same sums in the same order."""
    model = model_of("qwen3")
    prompts = [tuple(range(3 + row, 7 + row)) for row in range(21)]

    def logits(count: int) -> Tensor:
        forward = native_of(model)
        prefix = read_prompts(model, prompts, reserve=30, device=torch.device("cpu"))
        cache = join([Source(prefix.cache, torch.arange(count))], length=4, reserve=30)
        ids = torch.arange(3, 3 + count)[:, None]
        return forward(ids, mask=torch.ones(count, 5, dtype=torch.bool), position=ids * 0 + 4, cache=cache)

    alone, all_rows = logits(1), logits(21)
    monkeypatch.setattr(decode_native, "shares_of", lambda count, fewest: [range(count // 3), range(count // 3, count)])
    assert torch.equal(all_rows[:1], alone)
    assert torch.equal(logits(21), all_rows)


def test_samples_are_those_of_the_models_own_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty tokens from three prompts with rows that end apart: ids equal, log-probs within 1e-5."""
    model = model_of("qwen2")
    requests = [SampleRequest(torch.tensor(PROMPTS[key % 3]), key) for key in range(9)]
    params = SamplingParams(max_completion_length=20, stop_ids=frozenset({5, 6}))
    sampler = LocalSampler(model, vocab_size=model.config.vocab_size, max_length=64)
    fast = sampler.sample(requests, params, seed=0, step=0)
    monkeypatch.setattr("understudy.models.decode_step.reason_against", lambda model: "not here")
    own = sampler.sample(requests, params, seed=0, step=0)
    for one, other in zip(fast, own, strict=True):
        assert one.completion_ids.tolist() == other.completion_ids.tolist()
        torch.testing.assert_close(one.logprobs, other.logprobs, atol=1e-5, rtol=0)


def test_layers_in_bfloat16_stay_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert native_step(step_weights(model_of("qwen3"), length=8)) is not None
    monkeypatch.setattr("understudy.models.decode_weights._WIDE", 1)
    assert native_step(step_weights(model_of("qwen3"), length=8, wide=torch.bfloat16)) is None


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERSTUDY_HOME", str(tmp_path / "home"))
    return tmp_path


def library(source: Path) -> Any:
    native.library.cache_clear()
    return native.library(source)


def test_it_is_compiled_once_and_anew_when_the_source_changes(empty_home: Path) -> None:
    source = empty_home / "answer.c"
    source.write_text("int answer(void) { return 41; }")
    assert library(source).answer() == 41
    (made,) = (empty_home / "home/native").iterdir()
    before = made.stat().st_mtime_ns
    assert library(source).answer() == 41
    assert made.stat().st_mtime_ns == before
    source.write_text("int answer(void) { return 42; }")
    assert library(source).answer() == 42


@pytest.mark.parametrize("trouble", ["no compiler", "not C", "switched off", "a home that is a file", "no home"])
def test_without_a_library_torch_does_the_work(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    source = empty_home / "broken.c"
    source.write_text("this is not C" if trouble == "not C" else "int answer(void) { return 41; }")
    if trouble == "no compiler":
        monkeypatch.setenv("CC", "no-such-compiler")
    if trouble == "switched off":
        monkeypatch.setenv("UNDERSTUDY_NATIVE", "0")
    if trouble == "no home":
        monkeypatch.setenv("UNDERSTUDY_HOME", "~no-such-user/cache")
    if trouble == "a home that is a file":
        (empty_home / "home").write_text("")
    with caplog.at_level("INFO"):
        assert library(source) is None
        assert native.library(source) is None
    assert len(caplog.records) == (trouble != "switched off")
    monkeypatch.setattr(decode_native, "_kernel", lambda: library(source))
    model = model_of("qwen3")
    forward: Any = step_of(model, num_steps=20, length=40)
    assert isinstance(forward._shortcut, DecodeStep)
