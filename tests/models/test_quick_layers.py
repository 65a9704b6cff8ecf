"""Layers that run fused give what transformers' give: states, gradients, and everything around them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.families import tiny
from understudy.models import architectures, fused
from understudy.models.architectures import why_not_packed
from understudy.models.forward import MicroBatch, hidden_rows
from understudy.models.quick_layers import QuickAttention, QuickGate, QuickNorm, quicken

pytestmark = pytest.mark.skipif(fused.kernel() is None, reason="there is no C compiler")
FAMILIES = ["llama", "qwen2", "qwen3"]
CONTEXTS = [(3, 4, 5, 6, 7), (8, 9), (10, 11, 12, 13, 14, 15, 16)]


def packed() -> MicroBatch:
    ids = torch.tensor([token for context in CONTEXTS for token in context])
    every = torch.arange(ids.numel())
    return MicroBatch(ids[None], every, every, ids.numel(), tuple(map(len, CONTEXTS)))


def made(family: str, monkeypatch: pytest.MonkeyPatch, *, quick: bool, autocast: bool = False) -> Any:
    model: Any = tiny(family, dtype=torch.float32)
    with monkeypatch.context() as patch:
        if not quick:
            patch.setattr(architectures, "quicken", lambda model: [])
        assert why_not_packed(model, autocast=autocast) is None
    return model


def states_and_gradients(model: Any, *, autocast: bool) -> list[Tensor]:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        states = hidden_rows(model, packed(), autocast=autocast)
    (states.float() * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return [states.detach().float(), *(found[name].float() for name in sorted(found))]


@pytest.mark.parametrize("family", FAMILIES)
def test_states_and_gradients(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, quick = (made(family, monkeypatch, quick=quick) for quick in (False, True))
    kinds = {type(module).__mro__[1] for module in quick.modules()}
    assert {QuickNorm, QuickGate, QuickAttention} <= kinds
    ours, theirs = (states_and_gradients(model, autocast=False) for model in (quick, plain))
    assert len(ours) == len(theirs) > 10
    for one, other in zip(ours, theirs, strict=True):
        assert (one - other).norm() <= 2e-6 * other.norm()


@pytest.mark.parametrize("family", FAMILIES)
def test_under_autocast_states_and_gradients_are_as_near_to_float32(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, quick = (made(family, monkeypatch, quick=quick, autocast=True) for quick in (False, True))
    exact = states_and_gradients(made(family, monkeypatch, quick=False), autocast=False)
    ours, theirs = (
        sum(float((one - other).norm() / other.norm()) for one, other in zip(found, exact, strict=True)) / len(exact)
        for found in (states_and_gradients(model, autocast=True) for model in (quick, plain))
    )
    assert ours < 1.3 * theirs
    assert ours < 0.03


def test_bfloat16_rounds_less_than_transformers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    gaps = []
    for quick in (False, True):
        model = made("qwen3", monkeypatch, quick=quick)
        exact = hidden_rows(model, packed(), autocast=False)
        model.to(torch.bfloat16)
        gaps.append(float((hidden_rows(model, packed(), autocast=False).float() - exact).norm()))
    assert gaps[1] < gaps[0]


def test_nothing_else_of_the_model_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from transformers import AutoModelForCausalLM

    plain, quick = (made("qwen3", monkeypatch, quick=quick) for quick in (False, True))
    assert list(plain.state_dict()) == list(quick.state_dict())
    quick.save_pretrained(tmp_path)
    ids = torch.tensor([CONTEXTS[0]])
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(quick(ids).logits, again(ids).logits, atol=1e-5, rtol=1e-5)
    one, other = (model.generate(ids, max_new_tokens=6, do_sample=False) for model in (quick, plain))
    assert one.tolist() == other.tolist(), "a cache goes through transformers' own attention"


def test_layers_that_differ_are_given_back(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """As if a later transformers computed the same classes in another way."""
    monkeypatch.setattr("understudy.models.quick_layers.gated", lambda gate, up: gate * up)
    with caplog.at_level(logging.WARNING):
        model = made("llama", monkeypatch, quick=True)
    assert "takes transformers' own" in caplog.text
    assert not any(isinstance(module, (QuickNorm, QuickGate, QuickAttention)) for module in model.modules())


def test_other_families_and_machines_without_a_compiler_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert quicken(tiny("gemma", dtype=torch.float32)) == []
    windowed: nn.Module = tiny("mistral", dtype=torch.float32)
    assert {type(change.module).__mro__[1] for change in quicken(windowed)} == {QuickNorm, QuickGate}
    monkeypatch.setattr("understudy.models.quick_layers.kernel", lambda: None)
    assert quicken(tiny("llama", dtype=torch.float32)) == []
