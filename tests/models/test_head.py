from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertLMHeadModel,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    OPTConfig,
    PhiConfig,
    PreTrainedModel,
)

from tests.conformance.tiny import tiny_model
from understudy.errors import ModelError
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.forward import hidden_rows, plan_forward
from understudy.models.head import Head, check_head, default_chunk_rows

SMALL: dict[str, Any] = {
    "vocab_size": 24,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 32,
    "initializer_range": 0.5,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
ARCHITECTURES = {
    "llama, own head": LlamaConfig(**SMALL, tie_word_embeddings=False),
    "gemma 2, soft cap": Gemma2Config(**SMALL, final_logit_softcapping=2.0),
    "cohere, logit scale": CohereConfig(**SMALL, logit_scale=0.3),
    "granite, logits scaling": GraniteConfig(**SMALL, logits_scaling=3.0),
    "phi, bias": PhiConfig(**{k: v for k, v in SMALL.items() if k != "head_dim"}),
    "gpt 2": GPT2Config(vocab_size=24, n_embd=16, n_layer=1, n_head=2, n_positions=32, bos_token_id=0, eos_token_id=1),
    "opt": OPTConfig(vocab_size=24, hidden_size=16, ffn_dim=32, num_hidden_layers=1, num_attention_heads=2),
}


def states_and_logits(model: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([5, 3, 9, 7, 2, 11])
    rows = torch.arange(1, 6)
    (batch,) = plan_forward([ids], torch.zeros(5, dtype=torch.int64), rows, token_budget=10)
    return hidden_rows(model, batch), model(input_ids=ids[None, :5]).logits[0]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_head_gives_the_logits_of_the_architecture(name: str) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(ARCHITECTURES[name]).eval()
    with torch.no_grad():
        for parameter in model.get_output_embeddings().parameters():
            parameter.normal_()  # biases start at zero and would hide
    check_head(model, vocab_size=24)
    hidden, logits = states_and_logits(model)
    for size in (24, 20):
        torch.testing.assert_close(Head(model, vocab_size=size)(hidden), logits[:, :size], atol=1e-5, rtol=1e-5)


def test_unknown_logits_are_refused() -> None:
    config = {**SMALL, "is_decoder": True}
    for key in ("num_key_value_heads", "head_dim"):
        config.pop(key)
    model = BertLMHeadModel(BertConfig(**config)).eval()  # a dense layer stands between states and output embeddings
    with pytest.raises(ModelError, match="BertLMHeadModel"):
        check_head(model, vocab_size=24)


def test_adapter_on_the_head() -> None:
    model = add_lora(tiny_model(tied=False), LoraConfig(rank=2, alpha=4, target_modules=["lm_head"]), seed=0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_()
    hidden, logits = states_and_logits(model)
    head = Head(model, vocab_size=19)
    torch.testing.assert_close(head(hidden), logits, atol=1e-5, rtol=1e-5)
    assert [tuple(p.shape) for p in head.parameters] == [(2, 16), (19, 2)]


@pytest.mark.parametrize("adapted", [False, True])
def test_bfloat16_weights_multiply_in_float32(adapted: bool) -> None:
    model = tiny_model(tied=False)
    wrapped = add_lora(model, LoraConfig(rank=2, alpha=4, target_modules=["lm_head"]), seed=0) if adapted else model
    wrapped.bfloat16()
    hidden = torch.randn(4, 16).bfloat16()
    logits = Head(wrapped, vocab_size=19)(hidden)
    weight = dict(model.named_parameters())["lm_head.base_layer.weight" if adapted else "lm_head.weight"]
    torch.testing.assert_close(logits.double(), hidden.double() @ weight.double().T, atol=1e-5, rtol=1e-5)
    assert logits.dtype == torch.float32


def test_autocast_does_not_reach_the_head() -> None:
    head, hidden = Head(tiny_model(), vocab_size=19), torch.randn(4, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = head(hidden)
    assert torch.equal(inside, head(hidden))


def test_frozen_copy_stays() -> None:
    model, hidden = tiny_model(), torch.randn(4, 16)
    head = Head(model, vocab_size=19)
    before, frozen = head(hidden).detach(), head.frozen()
    with torch.no_grad():
        model.lm_head.weight.mul_(2)
    assert torch.equal(frozen(hidden), before)
    assert torch.equal(head(hidden), 2 * before)
    assert not frozen(hidden).requires_grad


def test_chunks_fit_the_buffer() -> None:
    assert default_chunk_rows(151_936) * 151_936 * 4 <= 2**28
    assert default_chunk_rows(32) == 8192
