from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from understudy.models.architectures import why_not_packed
from understudy.models.attention import Kind, Rule, attend_sequences
from understudy.models.forward import hidden_rows, micro_batches, plan_forward
from understudy.models.packed_attention import NAME, our_kernels


def tiny(implementation: str = "sdpa", *, seed: int = 0) -> Qwen3ForCausalLM:
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, initializer_range=0.3,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config)
    model.config._attn_implementation = implementation
    return model.eval()


def states_and_gradient(model: Qwen3ForCausalLM, *, autocast: bool) -> tuple[Tensor, Tensor]:
    contexts = [torch.arange(1, 20), torch.arange(5, 16)]
    position = torch.tensor([4, 12, 18, 6])
    (batch,) = plan_forward(contexts, torch.tensor([0, 0, 0, 1]), position, token_budget=100)
    states = hidden_rows(model, batch, autocast=autocast)
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    found = [p.grad.flatten() for p in model.model.layers.parameters() if p.grad is not None]
    return states.detach(), torch.cat(found)


def relative(ours: Tensor, exact: Tensor) -> float:
    return float((ours - exact).norm() / exact.norm())


@pytest.mark.parametrize("found_fit", [False, True])
def test_learning_in_bfloat16_is_as_close_to_float32_as_eager_attention_is(found_fit: bool):
    errors = []
    for seed in range(8):
        exact = states_and_gradient(tiny(seed=seed), autocast=False)
        model = tiny(seed=seed)
        assert not found_fit or why_not_packed(model) is None
        for other in (model, tiny("eager", seed=seed)):  # the second is left alone
            errors.append(
                [relative(*pair) for pair in zip(states_and_gradient(other, autocast=True), exact, strict=True)]
            )
    ours, eager = torch.tensor(errors)[0::2].mean(0), torch.tensor(errors)[1::2].mean(0)
    assert (ours < 1.1 * eager).all()
    assert (eager < 0.05).all()


def test_the_kernel_is_replaced_only_inside_the_block_and_only_for_sdpa():
    model = tiny()
    with pytest.raises(ZeroDivisionError), our_kernels(model.config):
        assert model.config._attn_implementation == NAME
        raise ZeroDivisionError
    assert model.config._attn_implementation == "sdpa"
    eager = tiny("eager")
    with our_kernels(eager.config):
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


def by_hand(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, kind: Kind) -> Tensor:
    """One token and one head at a time."""
    batch, heads, length, _ = query.shape
    shared = heads // key.shape[1]
    out = torch.zeros(batch, length, heads, value.shape[-1], dtype=query.dtype)
    for b in range(batch):
        for h in range(heads):
            for q in range(length):
                scores = {k: float(query[b, h, q] @ key[b, h // shared, k]) * kind.scaling for k in range(length)}
                if kind.softcap is not None:
                    cap = kind.softcap
                    scores = {
                        k: cap * float(torch.tensor(s / cap, dtype=query.dtype).tanh()) for k, s in scores.items()
                    }
                weights = {k: torch.tensor(s, dtype=query.dtype).exp() for k, s in scores.items() if seen[q, k]}
                sink = 0.0 if kind.sinks is None else kind.sinks[h].exp()
                total = sum(weights.values()) + sink
                out[b, q, h] = sum(w / total * value[b, h // shared, k] for k, w in weights.items())
    return out


def drawn(length: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(length)
    return tuple(torch.randn(2, heads, length, 4, dtype=torch.float64, generator=generator) for heads in (4, 2, 2))


KINDS = {
    "plain": Kind(0.7),
    "softcap": Kind(0.7, softcap=1.5),
    "sinks": Kind(0.7, sinks=torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64)),
}


@pytest.mark.parametrize("name", KINDS)
def test_causal_attention_is_its_formula(name: str):
    query, key, value = drawn(7)
    expected = by_hand(query, key, value, torch.ones(7, 7).tril().bool(), KINDS[name])
    torch.testing.assert_close(attend_sequences(query, key, value, Rule(), KINDS[name]), expected)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("length", [3, 4, 5, 11])
@pytest.mark.parametrize("block", [1, 3, 256])
def test_a_window_is_its_formula_whatever_the_blocks(name: str, length: int, block: int, monkeypatch):
    monkeypatch.setattr("understudy.models.attention._LEAST_BLOCK", block)
    query, key, value = drawn(length)
    rule = Rule(lambda b, h, q, k: (k <= q) & (k > q - 4), span=4)
    places = torch.arange(length)
    seen = (places[None] <= places[:, None]) & (places[None] > places[:, None] - 4)
    expected = by_hand(query, key, value, seen, KINDS[name])
    torch.testing.assert_close(attend_sequences(query, key, value, rule, KINDS[name]), expected)


def test_chunks_begin_anew():
    query, key, value = drawn(9)
    rule = Rule(lambda b, h, q, k: (k <= q) & (k // 4 == q // 4), span=4)
    places = torch.arange(9)
    seen = (places[None] <= places[:, None]) & (places[None] // 4 == places[:, None] // 4)
    expected = by_hand(query, key, value, seen, KINDS["plain"])
    torch.testing.assert_close(attend_sequences(query, key, value, rule, KINDS["plain"]), expected)


def test_large_groups_hold_contexts_of_like_length():
    lengths = [400] * 4 + [300] * 4 + [100] * 20
    groups = micro_batches(lengths, 16384)
    assert sorted(index for group in groups for index in group) == list(range(28))
    assert [len(group) for group in groups] == [4, 4, 20]
    padded = sum(len(group) * max(lengths[i] for i in group) for group in groups)
    assert padded == sum(lengths)
