from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from understudy.models.attention import NAME, grouped_attention
from understudy.models.forward import hidden_rows, micro_batches, plan_forward


def tiny(implementation: str = "sdpa") -> Qwen3ForCausalLM:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, initializer_range=0.3,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config)
    model.config._attn_implementation = implementation
    return model.eval()


def gradients(model: Qwen3ForCausalLM, *, autocast: bool) -> tuple[torch.Tensor, list[torch.Tensor]]:
    contexts = [torch.arange(1, 20), torch.arange(5, 16)]
    position = torch.tensor([4, 12, 18, 6])
    (batch,) = plan_forward(contexts, torch.tensor([0, 0, 0, 1]), position, token_budget=100)
    states = hidden_rows(model, batch, autocast=autocast)
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    return states.detach(), [p.grad for p in model.model.layers.parameters() if p.grad is not None]


def relative(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return float((ours - exact).norm() / exact.norm())


def test_learning_in_bfloat16_is_as_close_to_float32_as_the_fused_kernel_is():
    exact, exact_gradients = gradients(tiny(), autocast=False)
    states, grouped = gradients(tiny(), autocast=True)
    untouched = tiny()
    untouched.config._attn_implementation = "eager"  # left alone by grouped_attention
    other, eager = gradients(untouched, autocast=True)
    assert relative(states, exact) < 1.5 * relative(other, exact) < 0.05
    for ours, theirs, truth in zip(grouped, eager, exact_gradients, strict=True):
        assert relative(ours, truth) < max(0.02, 1.5 * relative(theirs, truth))


def test_the_kernel_is_replaced_only_inside_the_block_and_only_for_sdpa_on_a_cpu():
    model = tiny()
    with pytest.raises(ZeroDivisionError), grouped_attention(model.config, torch.device("cpu")):
        assert model.config._attn_implementation == NAME
        raise ZeroDivisionError
    assert model.config._attn_implementation == "sdpa"
    with grouped_attention(model.config, torch.device("cuda")):
        assert model.config._attn_implementation == "sdpa"
    eager = tiny("eager")
    with grouped_attention(eager.config, torch.device("cpu")):
        assert eager.config._attn_implementation == "eager"


def test_no_token_sees_a_later_one():
    model = tiny()
    rows = torch.zeros(1, dtype=torch.int64), torch.tensor([6])
    first, second = torch.arange(1, 12), torch.cat([torch.arange(1, 7), torch.full((5,), 30)])
    both = [plan_forward([ids], *rows, token_budget=100)[0] for ids in (first, second)]
    whole = [plan_forward([ids], rows[0], torch.tensor([10]), token_budget=100)[0] for ids in (first, second)]
    pairs = zip(both, whole, strict=True)
    early = [hidden_rows(model, replace(long, flat=short.flat), autocast=True) for short, long in pairs]
    assert torch.equal(early[0], early[1])
    late = [hidden_rows(model, w, autocast=True) for w in whole]
    assert not torch.allclose(late[0], late[1])


def test_large_groups_hold_contexts_of_like_length():
    lengths = [400] * 4 + [300] * 4 + [100] * 20
    groups = micro_batches(lengths, 16384)
    assert sorted(index for group in groups for index in group) == list(range(28))
    assert [len(group) for group in groups] == [4, 4, 20]
    padded = sum(len(group) * max(lengths[i] for i in group) for group in groups)
    assert padded == sum(lengths)
