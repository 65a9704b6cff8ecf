"""The local sampler over architectures, and what only a sampler in this process must do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM, Qwen3Config, Qwen3ForCausalLM

from tests.conformance.sampler import PARAMS, SamplerSubject, SamplerSuite
from understudy.errors import DataError, ModelError, NonFiniteError, RecipeError
from understudy.models import sampling
from understudy.models.sampling import LocalSampler
from understudy.protocols import SampleRequest, SamplingParams

V = 14
PADDED_V = 16
STOPS = frozenset({1, 5, 9})


def qwen3(seed: int = 0, **changes: Any) -> Qwen3ForCausalLM:
    torch.manual_seed(seed)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "max_position_embeddings": 48}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    return Qwen3ForCausalLM(Qwen3Config(vocab_size=PADDED_V, initializer_range=0.25, **sizes, **heads, **changes))


def sharpened(model: Any) -> Any:
    """The model in training mode, with logits of standard deviation 1.5: neither flat nor certain."""
    with torch.no_grad():
        spread = model.eval()(input_ids=torch.arange(V)[None]).logits.std()
        model.get_output_embeddings().weight.mul_(1.5 / spread)
    return model.train()


def subject_of(model: Any, **options: Any) -> SamplerSubject:
    sampler = LocalSampler(model, vocab_size=V, max_length=48, version=7, **options)

    def logits(ids: Tensor) -> Tensor:
        was_training = model.training
        model.eval()
        with torch.no_grad():
            result = model(input_ids=ids[None]).logits[0, :, :V]
        model.train(was_training)
        return result

    return SamplerSubject(sampler, logits, vocab_size=V, max_length=48)


class TestQwen3(SamplerSuite):
    @pytest.fixture
    def subject(self) -> SamplerSubject:
        return subject_of(sharpened(qwen3(attention_dropout=0.5)))


class TestSmallWaves(SamplerSuite):
    """Three completions a wave: prompts of one group may fall into two waves."""

    @pytest.fixture
    def subject(self) -> SamplerSubject:
        return subject_of(sharpened(qwen3()), max_batch_rows=3)


class TestEagerAttention(SamplerSuite):
    @pytest.fixture
    def subject(self) -> SamplerSubject:
        return subject_of(sharpened(qwen3(attn_implementation="eager")))


class TestSlidingWindow(SamplerSuite):
    """Mistral's window of 6 tokens is shorter than the contexts."""

    @pytest.fixture
    def subject(self) -> SamplerSubject:
        torch.manual_seed(0)
        config = MistralConfig(
            vocab_size=PADDED_V,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=48,
            sliding_window=6,
            initializer_range=0.25,
        )
        return subject_of(sharpened(MistralForCausalLM(config)))


class TestAbsolutePositions(SamplerSuite):
    @pytest.fixture
    def subject(self) -> SamplerSubject:
        torch.manual_seed(0)
        config = GPT2Config(
            vocab_size=PADDED_V, n_embd=32, n_layer=2, n_head=4, n_positions=48, initializer_range=0.25, bos_token_id=0
        )
        return subject_of(sharpened(GPT2LMHeadModel(config)))


class TestAdapter(SamplerSuite):
    @pytest.fixture
    def subject(self) -> SamplerSubject:
        return subject_of(sharpened(with_adapter(qwen3())))


def with_adapter(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(3)
    return get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))


def test_equal_prompts_are_read_once_and_ended_rows_leave() -> None:
    model = sharpened(qwen3())
    sampler = LocalSampler(model, vocab_size=V, max_length=48)
    sampler.sample([SampleRequest(torch.tensor([2]), 0)], PARAMS, seed=0, step=0)  # which tries the model first
    sizes: list[tuple[int, ...]] = []
    model.get_input_embeddings().register_forward_hook(lambda module, args, output: sizes.append(tuple(args[0].shape)))
    requests = [SampleRequest(torch.tensor([2, 3, 4][: 1 + key % 3]), key) for key in range(48)]
    samples = sampler.sample(requests, replace(PARAMS, stop_ids=STOPS), seed=0, step=0)
    assert sizes[0] == (3, 3), "three distinct prompts"
    lengths = torch.tensor([sample.completion_ids.numel() for sample in samples])
    for index, (rows, width) in enumerate(sizes[1:], start=1):
        alive = int((lengths > index).sum())
        assert width == 1
        assert alive <= rows < alive * 8 / 7 + 1
    assert sizes[-1][0] < 48


def test_modes_of_modules_are_restored() -> None:
    model = sharpened(qwen3())
    model.lm_head.eval()
    LocalSampler(model, vocab_size=V, max_length=48).sample(
        [SampleRequest(torch.tensor([2]), 0)], PARAMS, seed=0, step=0
    )
    assert model.training
    assert model.model.layers[0].training
    assert not model.lm_head.training


def test_samples_can_be_trained_on() -> None:
    model = qwen3()
    sampler = LocalSampler(model, vocab_size=V, max_length=48)
    sample = sampler.sample([SampleRequest(torch.tensor([2]), 0)], PARAMS, seed=0, step=0)[0]
    logprobs = model(input_ids=sample.completion_ids[None]).logits[0].log_softmax(-1)
    (logprobs.sum(-1) * sample.logprobs).sum().backward()
    assert model.lm_head.weight.grad.abs().sum() > 0


def test_tokens_past_the_vocabulary_are_never_drawn() -> None:
    model = qwen3()
    with torch.no_grad():
        model.lm_head.weight[V:] *= 100
    requests = [SampleRequest(torch.tensor([2, 3]), key) for key in range(32)]
    sampler = LocalSampler(model, vocab_size=V, max_length=48)
    for sample in sampler.sample(requests, SamplingParams(8), seed=0, step=0):
        assert sample.completion_ids.max() < V


def test_bfloat16_products_stay_near_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    model = qwen3()
    request = [SampleRequest(torch.tensor([2, 3]), 0)]
    params = SamplingParams(6)
    exact = LocalSampler(model, vocab_size=V, max_length=48).sample(request, params, seed=0, step=0)[0]
    rough = LocalSampler(model, vocab_size=V, max_length=48, autocast_dtype=torch.bfloat16)
    small = rough.sample(request, params, seed=0, step=0)[0]
    assert small.logprobs.equal(exact.logprobs)
    monkeypatch.setattr(sampling, "_WORTH_AUTOCAST", 0)
    sample = rough.sample(request, params, seed=0, step=0)[0]
    assert sample.logprobs.dtype == torch.float32
    assert 0 < (sample.logprobs[0] - exact.logprobs[0]).abs() < 0.05


def test_full_weights_are_read_from_a_folder(tmp_path: Path) -> None:
    old, new = qwen3(0), qwen3(1)
    new.save_pretrained(tmp_path)
    sampler = LocalSampler(old, vocab_size=V, max_length=48)
    sampler.load_weights(tmp_path, 4)
    expected = LocalSampler(new, vocab_size=V, max_length=48)
    requests = [SampleRequest(torch.tensor([2, 3]), key) for key in range(5)]
    got = sampler.sample(requests, PARAMS, seed=0, step=0)
    wanted = expected.sample(requests, PARAMS, seed=0, step=0)
    assert [s.completion_ids.tolist() for s in got] == [s.completion_ids.tolist() for s in wanted]
    assert got[0].weight_version[0] == 4


def test_an_adapter_is_read_from_a_folder(tmp_path: Path) -> None:
    old, new = with_adapter(qwen3(0)), with_adapter(qwen3(0))
    with torch.no_grad():
        for name, parameter in new.named_parameters():
            if "lora_B" in name:
                parameter.mul_(20)
    new.save_pretrained(tmp_path)
    sampler = LocalSampler(old, vocab_size=V, max_length=48)
    request = [SampleRequest(torch.tensor([2, 3]), 1)]
    before = sampler.sample(request, PARAMS, seed=0, step=0)[0]
    sampler.load_weights(tmp_path, 1)
    after = sampler.sample(request, PARAMS, seed=0, step=0)[0]
    wanted = LocalSampler(new, vocab_size=V, max_length=48).sample(request, PARAMS, seed=0, step=0)[0]
    torch.testing.assert_close(after.logprobs, wanted.logprobs)
    assert after.logprobs[0] != before.logprobs[0]


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot take these weights"):
        LocalSampler(qwen3(), vocab_size=V, max_length=48).load_weights(tmp_path, 1)


def test_a_folder_with_part_of_the_weights_is_refused(tmp_path: Path) -> None:
    """transformers would make up the rest at random."""
    model = qwen3()
    model.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {n: w for n, w in weights.items() if "layers.1" not in n}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    for taker in (model, with_adapter(qwen3())):
        with pytest.raises(ModelError, match="cannot take these weights"):
            LocalSampler(taker, vocab_size=V, max_length=48).load_weights(tmp_path, 1)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"temperature": -0.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"max_completion_length": 0}, "max_completion_length"),
    ],
)
def test_parameters_out_of_range_are_refused(change: dict[str, float], name: str) -> None:
    params: dict[str, Any] = {"max_completion_length": 4, **change}
    with pytest.raises(RecipeError, match=f"{name} is out of range"):
        LocalSampler(qwen3(), vocab_size=V, max_length=48).sample([], SamplingParams(**params), seed=0, step=0)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(DataError, match="rollout 6"):
        LocalSampler(qwen3(), vocab_size=V, max_length=48).sample(
            [SampleRequest(torch.zeros(0, dtype=torch.int64), 6)], PARAMS, seed=0, step=0
        )


def test_diverged_weights_are_an_error_not_a_token() -> None:
    model = qwen3()
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(NonFiniteError):
        LocalSampler(model, vocab_size=V, max_length=48).sample(
            [SampleRequest(torch.tensor([2]), 0)], PARAMS, seed=0, step=0
        )
