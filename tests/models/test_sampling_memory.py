"""The memory of a batch: its bytes are known beforehand, bounded, and halved when they run out."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config

from tests.models.families import PACKABLE, RECURRENT, VOCAB, tiny
from understudy.errors import MemoryExhaustedError
from understudy.models import decode_native, decode_step, free_memory, sampling, sampling_decode
from understudy.models.sampling import LocalSampler
from understudy.models.sampling_cache import ReservedLayer, columns_of, new_cache
from understudy.models.sampling_memory import cache_bytes, default_budget, rows_that_fit
from understudy.protocols import Sample, SampleRequest, SamplingParams

PARAMS = SamplingParams(max_completion_length=18)


def stored_bytes(cache: Any) -> int:
    tensors = []
    for layer in cache.layers:
        tensors += [
            tensor for tensor in (getattr(layer, "keys", None), getattr(layer, "values", None)) if tensor is not None
        ]
        for name in ("conv_states", "recurrent_states"):
            tensors += [state for state in getattr(layer, name, {}).values() if state is not None]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


# The tiny gpt2 is left out: its settings name shared heads, which GPT-2 does not read.
@pytest.mark.parametrize("family", [*(name for name in PACKABLE if name != "gpt2"), *RECURRENT])
def test_the_bytes_are_those_that_a_cache_takes(family: str) -> None:
    """Exact for attention; of a recurrent layer an upper bound that is at most a quarter too high."""
    model = tiny(family, dtype=torch.float32)
    cache = new_cache(model.config, 50)
    with torch.no_grad():
        model(input_ids=torch.ones(3, 7, dtype=torch.int64), past_key_values=cache, use_cache=True)
    told = cache_bytes(model.config, rows=3, length=50, dtype=torch.float32)
    if family in PACKABLE:
        assert told == stored_bytes(cache)
    else:
        assert stored_bytes(cache) <= told <= 1.25 * stored_bytes(cache)


def test_bytes_by_hand() -> None:
    """Two layers of 2 key-value heads of width 8: 2 x 2 x 8 numbers a token; a window of 6 holds 5 + 32 of them."""
    plain, sliding = tiny("qwen3").config, tiny("mistral").config
    assert cache_bytes(plain, rows=3, length=100, dtype=torch.float32) == 3 * 100 * 2 * 32 * 4
    assert cache_bytes(plain, rows=3, length=100, dtype=torch.bfloat16) == 3 * 100 * 2 * 32 * 2
    assert cache_bytes(sliding, rows=1, length=100, dtype=torch.float32) == 37 * 2 * 32 * 4
    assert cache_bytes(sliding, rows=1, length=20, dtype=torch.float32) == 20 * 2 * 32 * 4
    assert columns_of(5000, 1024) == 1023 + 256


def test_latent_attention_is_counted() -> None:
    sizes = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 6}
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "first_k_dense_replace": 2}
    config = AutoConfig.for_model(
        "deepseek_v3", vocab_size=VOCAB, num_attention_heads=4, num_key_value_heads=4, **sizes, **small
    )
    model, cache = AutoModelForCausalLM.from_config(config), new_cache(config, 50)
    with torch.no_grad():
        model(input_ids=torch.ones(3, 7, dtype=torch.int64), past_key_values=cache, use_cache=True)
    assert cache_bytes(config, rows=3, length=50, dtype=torch.float32) == stored_bytes(cache)


def test_heads_that_share_nothing_are_counted() -> None:
    config = GPT2Config(n_embd=32, n_head=4, n_layer=3)
    assert cache_bytes(config, rows=2, length=10, dtype=torch.float32) == 2 * 10 * 3 * 2 * 32 * 4


def test_rows_are_as_many_as_the_budget_holds() -> None:
    config = tiny("qwen3").config
    each = 10 * 2 * 32 * 4 + VOCAB * 12
    options: dict[str, Any] = {"rows": 8, "length": 10, "dtype": torch.float32, "vocab_size": VOCAB}
    assert rows_that_fit(config, **options, max_bytes=None) == 8
    assert rows_that_fit(config, **options, max_bytes=100 * each) == 8
    assert rows_that_fit(config, **options, max_bytes=3 * each) == 3
    assert rows_that_fit(config, **options, max_bytes=3 * each - 1) == 2
    with pytest.raises(MemoryExhaustedError, match=r"one completion of 10 tokens.*max_completion_length"):
        rows_that_fit(config, **options, max_bytes=each - 1)


def requests() -> list[SampleRequest]:
    return [SampleRequest(torch.tensor([3, 4, 5 + key % 3]), key) for key in range(12)]


def sampler(**options: Any) -> LocalSampler:
    return LocalSampler(tiny("qwen3", dtype=torch.float32), vocab_size=VOCAB, max_length=64, **options)


def ids(samples: list[Sample]) -> list[list[int]]:
    return [sample.completion_ids.tolist() for sample in samples]


def test_a_small_budget_gives_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = sampler().sample(requests(), PARAMS, seed=0, step=0)
    bounded = sampler(max_cache_bytes=2 * (21 * 2 * 32 * 4 + VOCAB * 12))
    rows: list[int] = []
    bounded.model.get_input_embeddings().register_forward_hook(lambda _, args, __: rows.append(args[0].shape[0]))
    assert ids(bounded.sample(requests(), PARAMS, seed=0, step=0)) == ids(wanted)
    assert max(rows) == 2
    with pytest.raises(MemoryExhaustedError, match="21 tokens"):
        sampler(max_cache_bytes=1000).sample(requests(), PARAMS, seed=0, step=0)


def failing_above(rows: int, error: Exception) -> tuple[LocalSampler, list[str]]:
    """A sampler whose model has no memory for more rows than these."""
    notices: list[str] = []
    made = sampler(notice=notices.append)

    def check(_: Any, args: tuple[torch.Tensor, ...]) -> None:
        if args[0].shape[0] > rows and args[0].shape[1] == 1:
            raise error

    made.model.get_input_embeddings().register_forward_pre_hook(check)
    return made, notices


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_rows_are_halved_when_memory_runs_out(error: Exception) -> None:
    wanted = sampler().sample(requests(), PARAMS, seed=0, step=0)
    told: list[int] = []
    made, notices = failing_above(4, error)
    got = made.sample(requests(), PARAMS, seed=0, step=0, ended=lambda place, _: told.append(place))
    assert ids(got) == ids(wanted)
    assert sorted(told) == list(range(12)), "nobody is told twice"
    assert len(notices) == 2, "12 to 6, 6 to 3"
    assert "goes on with 3" in notices[-1]
    made.sample(requests(), PARAMS, seed=0, step=1)
    assert len(notices) == 2, "it stays so"


def stored_now() -> int:
    """Numbers that caches and fast steps hold."""
    known = [one for one in gc.get_objects() if type(one) in (ReservedLayer, decode_native._Storage)]
    keys = [one.keys for one in known if type(one) is ReservedLayer and one.is_initialized and one.keys is not None]
    return sum(x.numel() for x in keys) + sum(one.columns.numel() for one in known if type(one) is not ReservedLayer)


def test_no_batch_is_kept_while_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that did not fit into memory nor a wave that has ended; the fast step has its keys once more."""
    read, step = sampling_decode.read_prompts, decode_step.next_logits
    found: list[int] = []

    def watched_read(*arguments: Any, **options: Any) -> Any:
        found.append(stored_now() - before)
        return read(*arguments, **options)

    def failing_step(*arguments: Any, **options: Any) -> Tensor:
        if arguments[1].shape[0] > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(*arguments, **options)

    monkeypatch.setattr(sampling_decode, "read_prompts", watched_read)
    monkeypatch.setattr(decode_step, "next_logits", failing_step)
    different = [SampleRequest(torch.tensor([3, 4, 5 + key]), key) for key in range(12)]
    before = stored_now()
    sampler().sample(different, PARAMS, seed=0, step=0)
    assert found == [0, 0, 0], "twelve that do not fit, six, and six"


def test_one_row_without_memory_is_an_error_in_one_sentence() -> None:
    made, _ = failing_above(0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(MemoryExhaustedError, match=r"one completion.*CUDA out of memory.*smaller model"):
        made.sample(requests(), PARAMS, seed=0, step=0)


def test_other_errors_are_not_taken_for_it() -> None:
    made, notices = failing_above(4, RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="multiplied"):
        made.sample(requests(), PARAMS, seed=0, step=0)

    def listener(place: int, sample: Sample) -> None:
        raise torch.OutOfMemoryError("the teacher has no memory")

    with pytest.raises(torch.OutOfMemoryError, match="teacher"):
        sampler(notice=notices.append).sample(requests(), PARAMS, seed=0, step=0, ended=listener)
    assert notices == []


def test_a_control_group_bounds_what_sampling_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container the machine may have a hundred times what the process may use before the kernel ends it."""
    (tmp_path / "self").mkdir()
    (tmp_path / "meminfo").write_text("MemAvailable: 99999999 kB\n")
    (tmp_path / "self/cgroup").write_text("0::/\n")
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    monkeypatch.setattr(free_memory, "_PROC", tmp_path)
    monkeypatch.setattr(free_memory, "_CGROUPS", tmp_path)
    assert default_budget(torch.device("cpu")) == 2_000_000
    assert default_budget(torch.device("meta")) is None


def test_without_a_budget_a_share_of_free_memory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "default_budget", lambda device: 1000)
    with pytest.raises(MemoryExhaustedError):
        sampler().sample(requests(), PARAMS, seed=0, step=0)
