from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, Qwen3Config, Qwen3MoeConfig

from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.forward import hidden_rows, plan_forward
from understudy.models.memory import ModelSize, keys_and_values, logits, scoring_activations, training_activations

SHAPE = {
    "vocab_size": 50,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
}


def size_of(config: PreTrainedConfig) -> ModelSize:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return ModelSize.of(config, sum(p.numel() for p in model.parameters()))


def kept_a_layer(kind: type[PreTrainedConfig], *, autocast: bool = False) -> float:
    """Bytes a token that autograd keeps for one more layer; bfloat16 copies of its weights left out."""
    totals, copies = [], []
    for layers in (1, 2):
        model = AutoModelForCausalLM.from_config(kind(num_hidden_layers=layers, **SHAPE))
        where = torch.arange(4)
        (batch,) = plan_forward([torch.arange(2, 50)] * 4, where, torch.full((4,), 47), token_budget=1 << 20)
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        kept: dict[int, Tensor] = {}

        def pack(tensor: Tensor, own: set[int] = own, kept: dict[int, Tensor] = kept) -> Tensor:
            if tensor.untyped_storage().data_ptr() not in own:
                kept[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        with saved_tensors_hooks(pack, lambda tensor: tensor):
            hidden = hidden_rows(model, batch, autocast=autocast)
        assert hidden.requires_grad
        totals.append(sum(tensor.untyped_storage().nbytes() for tensor in kept.values()))
        copies.append(sum(2 * p.numel() for p in model.model.layers.parameters() if p.ndim == 2) if autocast else 0)
    return (totals[1] - totals[0] - (copies[1] - copies[0])) / batch.ids.numel()


def planned_a_layer(kind: type[PreTrainedConfig], precision: str) -> float:
    one, two = (
        training_activations(
            size_of(kind(num_hidden_layers=layers, **SHAPE)),
            1000,
            precision=precision,  # type: ignore[arg-type]
            checkpointing=False,
        )
        for layers in (1, 2)
    )
    return (two - one) / 1000


@pytest.mark.parametrize("kind", [Qwen3Config, LlamaConfig])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_layers_activations_are_those_of_autograd(kind: type[PreTrainedConfig], precision: str) -> None:
    """Qwen3, whose queries and keys have norms: 10 %; Llama, which has none there: at most 25 % too many."""
    planned, kept = planned_a_layer(kind, precision), kept_a_layer(kind, autocast=precision == "bfloat16")
    assert 0.9 <= planned / kept <= (1.1 if kind is Qwen3Config else 1.25)


def test_checkpointing_keeps_one_state_a_layer() -> None:
    few, many = (size_of(Qwen3Config(num_hidden_layers=layers, **SHAPE)) for layers in (1, 5))
    planned = [training_activations(size, 10, precision="float32", checkpointing=True) for size in (few, many)]
    assert planned[1] - planned[0] == 4 * 10 * 4 * 64


def test_sizes_by_hand() -> None:
    size = size_of(Qwen3Config(num_hidden_layers=3, tie_word_embeddings=True, **SHAPE))
    assert (size.query, size.key, size.inner, size.width) == (64, 32, 160, 64)
    assert keys_and_values(size, 10, precision="bfloat16") == 2 * 10 * 3 * 2 * 32
    assert logits(size, 7, buffers=2) == 4 * 7 * 50 * 2
    layer = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 160 + 2 * 64 + 2 * 16
    assert size.num_parameters == 50 * 64 + 3 * layer + 64
    assert scoring_activations(size, 10, precision="float32") == 4 * 10 * (4 * 64 + 3 * 160)


def test_experts_count_as_often_as_a_token_meets_one() -> None:
    config = Qwen3MoeConfig(
        num_hidden_layers=1, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=24, **SHAPE
    )
    assert size_of(config).inner == 48


def test_adapters_are_counted() -> None:
    config = Qwen3Config(num_hidden_layers=2, **SHAPE)
    adapted = add_lora(AutoModelForCausalLM.from_config(config), LoraConfig(rank=4, alpha=8), seed=0)
    counted = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert size_of(config).lora_parameters(4) == counted
