from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from transformers import OPTConfig, OPTForCausalLM, PreTrainedModel

from tests.conformance.tiny import every_term, likelihood_plan, tiny_batch, tiny_model
from tests.engines.test_local_policy import local_policy
from understudy.engines.local.checkpointing import can_checkpoint
from understudy.errors import CapabilityError
from understudy.models.adapters import LoraConfig
from understudy.plans import LossPlan

BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-6}
ADAPTERS = {
    "full": None,
    "lora": LoraConfig(rank=4, alpha=8),
    "dropout": LoraConfig(rank=4, alpha=8, dropout=0.5),
    "head": LoraConfig(rank=4, alpha=8, dropout=0.5, target_modules=["q_proj", "lm_head"]),
}


@contextmanager
def counting_saved_bytes() -> Iterator[list[int]]:
    """Bytes that autograd keeps for the backward pass, by storage."""
    sizes: dict[int, int] = {}
    total = [0]

    def pack(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter):
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            total[0] = sum(sizes.values())
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total


@pytest.mark.parametrize("dtype", list(BOUNDS))
@pytest.mark.parametrize("how", list(ADAPTERS))
def test_the_gradients_are_the_same(how: str, dtype: torch.dtype) -> None:
    batch = tiny_batch()
    plan = LossPlan(every_term(batch), temperature=0.8)
    gradients = {}
    for choice in ("off", "on"):
        model = tiny_model(tied=how != "head", dtype=dtype)
        policy = local_policy(model, lora=ADAPTERS[how], token_budget=40, activation_checkpointing=choice)
        gradients[choice] = policy.gradients(batch, plan)
    scale = max(float(g.abs().max()) for g in gradients["off"].values())
    assert scale > 0
    for name, gradient in gradients["off"].items():
        assert float((gradients["on"][name] - gradient).abs().max()) <= BOUNDS[dtype] * scale, name


def test_bfloat16_products_too() -> None:
    batch = tiny_batch()
    plan = likelihood_plan(batch)
    off, on = (
        local_policy(tiny_model(), precision="bfloat16", activation_checkpointing=choice).gradients(batch, plan)
        for choice in ("off", "on")
    )
    for name, gradient in off.items():
        torch.testing.assert_close(on[name], gradient, atol=1e-5, rtol=1e-3)


def test_less_is_kept() -> None:
    batch, kept = tiny_batch(count=16), {}
    for choice in ("off", "on"):
        policy = local_policy(tiny_model(layers=4), activation_checkpointing=choice)
        with counting_saved_bytes() as total:
            policy.gradients(batch, likelihood_plan(batch))
        kept[choice] = total[0]
    assert kept["on"] < 0.5 * kept["off"]


def test_a_models_own_dropout_stays_off() -> None:
    """OPT's layers drop by themselves in training mode; the student is never in that mode."""
    batch = tiny_batch()
    gradients = []
    for choice in ("off", "on"):
        torch.manual_seed(0)
        policy = local_policy(opt(), activation_checkpointing=choice)
        gradients.append(policy.gradients(batch, likelihood_plan(batch)))
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-5)


def opt() -> PreTrainedModel:
    config = OPTConfig(
        vocab_size=19,
        hidden_size=16,
        ffn_dim=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        word_embed_proj_dim=16,
        dropout=0.5,
        attention_dropout=0.0,
    )
    return OPTForCausalLM(config).eval()


def test_the_layers_are_as_before_afterwards() -> None:
    model, batch = tiny_model(), tiny_batch()
    policy = local_policy(model, activation_checkpointing="on")
    policy.gradients(batch, likelihood_plan(batch))
    assert all("forward" not in vars(module) for module in model.modules())
    assert not any(module.training for module in model.modules())


def test_what_cannot_be_checkpointed_is_refused() -> None:
    model = tiny_model()
    model.supports_gradient_checkpointing = False
    assert not can_checkpoint(model)
    with pytest.raises(CapabilityError, match=r"activation_checkpointing: off"):
        local_policy(model, activation_checkpointing="on")
    local_policy(model, activation_checkpointing="auto")
