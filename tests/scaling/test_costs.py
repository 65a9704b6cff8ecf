"""The cost model against figures worked out by hand, torch's own counter, and laws that any cost obeys."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, Qwen3Config

from tests.scaling.small import CPU, NARROW, WORK, model
from understudy.errors import UserMistakeError
from understudy.scaling.architecture import Architecture, architecture_from
from understudy.scaling.costs import push, reward, sampling, scoring, update
from understudy.scaling.known import known_architecture

CONFIG = Qwen3Config(
    vocab_size=50,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    tie_word_embeddings=False,
)
TINY = architecture_from(CONFIG.to_dict(), name="tiny", source="here")


def test_the_sizes_of_a_tiny_model_by_hand() -> None:
    # A layer: queries 16 x 32, output 32 x 16, keys and values 16 x 16 each, three of 16 x 24.
    assert TINY.layer_parameters == 3 * (512 + 512 + 256 + 256 + 3 * 384) == 8064
    assert (TINY.head_parameters, TINY.num_parameters) == (800, 8064 + 1600)
    assert TINY.layer_flops(10) == 161_280 and TINY.head_flops(10) == 16_000
    # Scores and weighted sums: two products of 4 heads x 8 for each of 7 tokens seen, in 3 layers.
    assert TINY.attention_flops(10, 7) == 3 * 2 * 2 * 32 * 7 * 10
    assert TINY.key_value_bytes(10, value_bytes=4) == 3 * 2 * 16 * 10 * 4


def test_they_are_those_that_torch_counts() -> None:
    rows, length = 2, 6
    network = AutoModelForCausalLM.from_config(CONFIG, attn_implementation="eager")
    weights = [p for name, p in network.named_parameters() if p.dim() == 2]
    assert sum(p.numel() for p in weights) == TINY.num_parameters
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(TINY.num_parameters, rel=0.02)
    with FlopCounterMode(display=False) as forward:
        logits = network(torch.zeros(rows, length, dtype=torch.int64)).logits
    tokens = rows * length
    # Without a fused kernel a token's scores are made for all tokens of its text, those after it among them.
    expected = TINY.layer_flops(tokens) + TINY.attention_flops(tokens, length) + TINY.head_flops(tokens)
    # The table of rotations is a product as well: 4 angles for each place.
    rotations = 2 * 4 * length
    assert forward.get_total_flops() == pytest.approx(expected, abs=rows * rotations)
    with FlopCounterMode(display=False) as backward:
        logits.sum().backward()
    # The gradient of what goes in and of the weights: twice the forward, but for the first layer's input, an embedding.
    assert backward.get_total_flops() == pytest.approx(2 * expected, rel=0.01)


def test_experts_count_as_often_as_a_token_meets_one() -> None:
    mixed = known_architecture("Qwen/Qwen3-30B-A3B-Instruct-2507")
    assert mixed is not None and mixed.inner == 8 * 768 and mixed.inner_stored == 128 * 768
    assert mixed.layer_parameters < 0.1 * mixed.stored_layer_parameters
    assert mixed.met_parameters(1) == pytest.approx(mixed.layer_parameters)
    assert mixed.met_parameters(10_000) == pytest.approx(mixed.stored_layer_parameters)
    assert NARROW.met_parameters(1) == NARROW.met_parameters(9) == NARROW.layer_parameters


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("Qwen/Qwen3-0.6B", 0.596), ("Qwen/Qwen3-1.7B-Base", 1.72), ("Qwen/Qwen3-8B", 8.19), ("Qwen/Qwen3-14B", 14.77),
        ("Qwen/Qwen3-32B", 32.76), ("Qwen/Qwen3-30B-A3B", 30.5), ("Qwen/Qwen3-235B-A22B", 235.1),
        ("Qwen/Qwen2.5-7B-Instruct", 7.62), ("Qwen/Qwen2.5-72B", 72.7), ("Qwen/Qwen2.5-0.5B", 0.494),
        ("meta-llama/Llama-3.2-1B", 1.236), ("meta-llama/Llama-3.1-8B-Instruct", 8.03),
        ("meta-llama/Llama-3.1-70B", 70.55),
    ],
)  # fmt: skip
def test_known_models_have_their_published_number_of_weights(name: str, billions: float) -> None:
    found = known_architecture(name)
    assert found is not None and found.num_parameters / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize("name", ["Qwen/Qwen3-4B5", "Qwen/Qwen3-30B", "Qwen/Qwen3.5-9B", "mistral", ""])
def test_other_names_are_not_known(name: str) -> None:
    assert known_architecture(name) is None


def test_a_configuration_without_a_size_is_refused() -> None:
    with pytest.raises(UserMistakeError, match="no usable num_hidden_layers; expected a whole number"):
        architecture_from({"hidden_size": 8, "num_attention_heads": 2, "vocab_size": 5}, name="x", source="")


def test_twice_the_rollouts_are_twice_the_work() -> None:
    once, twice = model(), model(prompts=2 * WORK.prompts)
    for phase in (sampling, lambda m, replicas: scoring(m, of=m.teacher, replicas=replicas)):
        one, two = phase(once, replicas=1), phase(twice, replicas=1)
        assert two.flops == pytest.approx(2 * one.flops) and two.tokens == 2 * one.tokens
        assert two.other_bytes == pytest.approx(2 * one.other_bytes)
    assert update(twice, ranks=1).flops == pytest.approx(2 * update(once, ranks=1).flops)
    assert sampling(twice, replicas=2).seconds == pytest.approx(sampling(once, replicas=1).seconds)


def test_sampling_by_hand() -> None:
    """Two prompts of 10 tokens, two rollouts of each, 4 tokens each; products alone."""
    work = replace(WORK, prompts=2, generations=2, prompt_tokens=10, completion_tokens=4)
    found = sampling(replace(model(), work=work, student=TINY), replicas=1)
    read, drawn = 20, 16
    layers = 2 * 8064 * (read + drawn)
    attention = 3 * 4 * 32 * (5 * read + 12 * drawn)
    assert found.flops == layers + attention + 2 * 800 * (drawn + 2)
    assert found.weight_bytes == 4 * (8064 + 800) * 4  # every weight in each of 4 steps, float32
    assert found.parts["calls"] == pytest.approx((4 + 1) * 3 * CPU.sampling.call_seconds)
    rate = CPU.float32_flops * CPU.sampling.products
    assert found.parts["products"] == pytest.approx(found.flops / rate)


def test_what_adapters_and_checkpoints_change() -> None:
    full, adapters, again = model(), model(lora_rank=4), model(checkpointing=True)
    head = full.student.head_flops(full.work.completion_rows)
    forward = (update(full, ranks=1).flops - 3 * head) / 3
    assert update(adapters, ranks=1).flops == pytest.approx(2 * forward + 2 * head)
    assert update(again, ranks=1).flops == pytest.approx(4 * forward + 3 * head)
    assert adapters.trained_parameters == full.student.lora_parameters(4) < full.student.num_parameters


def test_ranks_talk_and_one_does_not() -> None:
    alone, four = update(model(), ranks=1), update(model(), ranks=4)
    assert alone.network_bytes == 0 and four.network_bytes > 0
    assert push(model(), apart=False, ranks=1).seconds == 0
    moved = push(model(), apart=True, ranks=1)
    assert moved.network_bytes == 4 * NARROW.num_parameters
    assert moved.seconds == pytest.approx(moved.network_bytes / CPU.network_rate)


def test_more_replicas_than_rollouts_are_idle() -> None:
    work = model()
    most = work.work.rollouts
    assert sampling(work, replicas=most).seconds == sampling(work, replicas=10 * most).seconds


def test_a_world_takes_its_time_turn_by_turn() -> None:
    assert reward(model(environment_seconds=0.5, turns=6)).seconds == 3.0


def test_the_vocabulary_is_the_price_of_the_whole_distribution() -> None:
    ids, whole = update(model(), ranks=1), update(model(full_vocabulary=True), ranks=1)
    rows = WORK.completion_rows
    assert isinstance(model().teacher, Architecture)
    assert whole.flops - ids.flops == pytest.approx(model().student.head_flops(rows) + model().teacher.head_flops(rows))
