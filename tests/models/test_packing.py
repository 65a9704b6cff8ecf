"""Packed contexts give what each gives alone: states, gradients, choice of rows, in every architecture family."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tests.models.families import PACKABLE, RECURRENT, VOCAB, tiny
from understudy.errors import ModelError
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.architectures import why_not_packed
from understudy.models.forward import backbone, hidden_rows, plan_forward
from understudy.models.packing import micro_batches, packed_batches, pays_to_pack

LENGTHS = (5, 40, 13, 13, 28, 3, 13)
"""Longer and shorter than the windows of the families; three are alike, and two of these stand together."""


def contexts_and_rows() -> tuple[list[Tensor], Tensor, Tensor]:
    """Contexts, and rows in no order: some contexts have many, the last has none."""
    generator = torch.Generator().manual_seed(1)
    contexts = [torch.randint(VOCAB, (length,), generator=generator) for length in LENGTHS]
    rows = [(c, p) for c, length in enumerate(LENGTHS[:-1]) for p in range(1, length) if (c + p) % 3 or p == length - 1]
    order = torch.randperm(len(rows), generator=generator)
    context, position = torch.tensor(rows)[order].unbind(1)
    return contexts, context, position


def packed_states(model: nn.Module, *, token_budget: int, autocast: bool = False) -> Tensor:
    contexts, context, position = contexts_and_rows()
    parts = plan_forward(contexts, context, position, token_budget=token_budget, model=model)
    assert any(part.lengths is not None and len(part.lengths) > 2 for part in parts)
    states = torch.cat([hidden_rows(model, part, autocast=autocast) for part in parts])
    return states[torch.cat([part.rows for part in parts]).argsort()]


def lone_states(model: nn.Module) -> Tensor:
    contexts, context, position = contexts_and_rows()
    alone = [backbone(model)(input_ids=ids[None], use_cache=False).last_hidden_state[0] for ids in contexts]
    return torch.stack([alone[c][p - 1] for c, p in zip(context.tolist(), position.tolist(), strict=True)])


def gradients(model: nn.Module, states: Tensor) -> dict[str, Tensor]:
    direction = torch.linspace(-9, 9, states.numel(), dtype=torch.float64).view_as(states).sin()
    (states.double() * direction).sum().backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def relative(ours: Tensor, exact: Tensor) -> float:
    return float((ours.detach().double() - exact.double()).norm() / exact.double().norm().clamp_min(1e-12))


def with_adapters(model: nn.Module) -> nn.Module:
    """Adapters that change the answers, on every linear layer."""
    wrapped = add_lora(model, LoraConfig(rank=2, alpha=4), seed=0)
    for number, (name, p) in enumerate(wrapped.named_parameters()):
        if "lora_B" in name:
            nn.init.normal_(p, std=0.1, generator=torch.Generator().manual_seed(number))
    return wrapped.double()


CASES = [(family, lora) for family in PACKABLE for lora in (False, True)]
CASES.remove(("llama4_text", True))  # PEFT takes its router for a linear layer and breaks it


@pytest.mark.parametrize(("family", "lora"), CASES)
def test_packed_states_and_gradients_are_those_of_each_context_alone(family: str, lora: bool) -> None:
    model = with_adapters(tiny(family)) if lora else tiny(family)
    exact = lone_states(model)
    exact_gradients = gradients(model, exact)
    assert why_not_packed(model) is None
    for token_budget in (1000, 60):
        states = packed_states(model, token_budget=token_budget)
        assert relative(states, exact) < 1e-6
        found = gradients(model, states)
        assert found.keys() == exact_gradients.keys() and len(found) > 4
        total = torch.cat([g.flatten() for g in exact_gradients.values()])
        assert relative(torch.cat([found[name].flatten() for name in exact_gradients]), total) < 1e-6
        assert max(float((found[n] - g).abs().max()) for n, g in exact_gradients.items()) < 1e-6 * float(total.norm())


@pytest.mark.parametrize("family", PACKABLE)
def test_in_float32_it_is_off_by_rounding_only(family: str) -> None:
    exact = lone_states(tiny(family))
    model = tiny(family, dtype=torch.float32)
    assert why_not_packed(model) is None
    assert relative(packed_states(model, token_budget=1000), exact) < 1e-6


@pytest.mark.parametrize("family", ["qwen3", "gemma2", "mistral", "gpt_oss"])
def test_learning_in_bfloat16_is_as_close_to_float64_as_one_context_at_a_time(family: str) -> None:
    exact_model = tiny(family)
    exact = lone_states(exact_model)
    exact_gradients = gradients(exact_model, exact)
    model = tiny(family, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = lone_states(model)
    theirs = gradients(model, other)
    assert why_not_packed(model, autocast=True) is None
    states = packed_states(model, token_budget=1000, autocast=True)
    ours = gradients(model, states)
    assert relative(states, exact) < max(0.02, 1.3 * relative(other, exact))
    whole, one_by_one, truth = (
        torch.cat([g[name].flatten() for name in theirs]) for g in (ours, theirs, exact_gradients)
    )
    assert relative(whole, truth) < max(0.02, 1.3 * relative(one_by_one, truth))


@pytest.mark.parametrize("family", RECURRENT)
def test_models_with_a_state_are_refused_with_the_reason_and_still_padded(family: str) -> None:
    model = tiny(family, dtype=torch.float32)
    before = model.config._attn_implementation
    reason = why_not_packed(model)
    assert reason is not None and "across contexts" in reason
    assert model.config._attn_implementation == before
    contexts, context, position = contexts_and_rows()
    parts = plan_forward(contexts, context, position, token_budget=1000, model=model)
    assert all(part.lengths is None for part in parts)
    states = torch.cat([hidden_rows(model, part) for part in parts])[torch.cat([p.rows for p in parts]).argsort()]
    torch.testing.assert_close(states, lone_states(model), atol=2e-5, rtol=2e-4)
    fit = tiny("llama")
    assert why_not_packed(fit) is None
    (packed, *_) = plan_forward(contexts, context, position, token_budget=1000, model=fit)
    with pytest.raises(ModelError, match="packed"):
        hidden_rows(model, packed)


class Leaky(nn.Module):
    """Adds the state before, as a recurrent layer does without saying so."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5 * x.roll(1, dims=1)


class Hidden(nn.Module):
    """A norm that wants more than it is given."""

    def forward(self, x: Tensor) -> Tensor:
        raise KeyError("seq_idx")


def test_a_layer_that_reads_its_neighbour_is_found_by_trying() -> None:
    model = tiny("llama")
    first = model.model.layers[0]
    first.input_layernorm = nn.Sequential(first.input_layernorm, Leaky())
    reason = why_not_packed(model)
    assert reason is not None and "differ" in reason
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_cannot_be_tried_is_left_alone() -> None:
    model = tiny("llama")
    model.model.norm = Hidden()
    reason = why_not_packed(model)
    assert reason is not None and "KeyError" in reason
    assert model.config._attn_implementation == "sdpa"
    flash = tiny("llama")
    flash.config._attn_implementation = "flex_attention"
    assert "flex_attention" in str(why_not_packed(flash))


def test_a_model_found_fit_still_reads_masks_and_caches_as_before() -> None:
    for family in ("llama", "gemma2", "gpt_oss", "mistral"):
        model, untouched = (tiny(family, dtype=torch.float32) for _ in range(2))
        assert why_not_packed(model) is None
        ids = torch.arange(24).view(2, 12) % VOCAB
        mask = torch.ones_like(ids)
        mask[1, :5] = 0
        for extra in ({}, {"attention_mask": mask}):
            ours, theirs = (m.generate(ids, max_new_tokens=6, do_sample=False, **extra) for m in (model, untouched))
            assert torch.equal(ours, theirs)
            logits = [m(input_ids=ids, use_cache=False, **extra).logits[mask.bool()] for m in (model, untouched)]
            torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-5)


def test_layers_that_are_computed_again_see_the_same_contexts() -> None:
    model = tiny("mistral")
    exact = gradients(model, lone_states(model))
    assert why_not_packed(model) is None
    for layer in model.model.layers:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    states = packed_states(model, token_budget=1000)
    again = gradients(model, states)
    for name, truth in exact.items():
        torch.testing.assert_close(again[name], truth, atol=1e-9, rtol=1e-7)


lengths = st.lists(st.integers(1, 60), min_size=1, max_size=25)


@given(lengths, st.integers(1, 150))
def test_every_context_is_packed_once_and_within_the_budget(sizes: list[int], budget: int) -> None:
    groups = packed_batches(sizes, budget)
    assert sorted(index for group in groups for index in group) == list(range(len(sizes)))
    for group in groups:
        assert len(group) == 1 or sum(sizes[index] for index in group) <= budget
        assert [sizes[i] for i in group] == sorted((sizes[i] for i in group), reverse=True)


@given(lengths, st.integers(1, 150))
def test_packing_needs_no_more_passes_than_padding(sizes: list[int], budget: int) -> None:
    assert len(packed_batches(sizes, budget)) <= len(micro_batches(sizes, budget))


@given(st.integers(1, 500), st.integers(1, 60))
def test_contexts_of_one_length_are_never_packed(length: int, count: int) -> None:
    budget = length * count
    assert not pays_to_pack([length] * count, padded_tokens=budget, packed_tokens=budget)


def test_a_long_tail_is_packed_and_short_contexts_are_not() -> None:
    budgets = {"padded_tokens": 8192, "packed_tokens": 1536}
    assert pays_to_pack([900, 700, 420, 300, 210, 150, 120, 90, 70], **budgets)
    assert not pays_to_pack([12, 11, 10, 9, 8, 7, 6, 5], **budgets)
