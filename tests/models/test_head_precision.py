"""The head's loss on every form of head against dense float64 autograd of the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen3ForCausalLM

from tests.conformance.tiny import distinct_ids, some_logprobs, tiny_config
from understudy.models.adapters import LoraConfig, add_lora
from understudy.models.head import Head
from understudy.models.head_loss import head_loss
from understudy.models.head_scores import score_rows
from understudy.models.row_terms import RowTerm
from understudy.plans import Divergence, Likelihood
from understudy.tokens import Hidden

ROWS, WIDTH, VOCAB, PADDED, TEMPERATURE = 11, 16, 19, 24, 0.8


@dataclass(frozen=True)
class Form:
    """Of a head: what stands around its product."""

    tied: bool = False
    bias: bool = False
    scale: float = 1.0
    cap: float | None = None
    lora: tuple[str, ...] = ()


FORMS = {
    "own": Form(),
    "tied": Form(tied=True),
    "bias": Form(bias=True),
    "scale": Form(scale=0.3),
    "scale and bias": Form(scale=3.0, bias=True),
    "cap": Form(cap=2.0),
    "scale, cap and bias": Form(scale=0.5, cap=1.5, bias=True),
    "adapter on the head": Form(lora=("lm_head",)),
    "adapters off the head": Form(lora=("q_proj",)),
}


def head_of(form: Form, dtype: torch.dtype) -> Head:
    """A head over a padded vocabulary, cut to the true one."""
    config = tiny_config(vocab_size=PADDED, hidden_size=WIDTH, initializer_range=0.4, tie_word_embeddings=form.tied)
    torch.manual_seed(0)
    model: Any = Qwen3ForCausalLM(config)
    if form.bias:
        model.lm_head.bias = nn.Parameter(torch.randn(PADDED))
    if form.lora:
        model = add_lora(model, LoraConfig(rank=2, alpha=4, target_modules=list(form.lora)), seed=0)
        with torch.no_grad():
            for name, p in model.named_parameters():
                if "lora_B" in name:
                    p.normal_()
    head = Head(model.to(dtype), vocab_size=VOCAB)
    head.scale, head.cap = form.scale, form.cap
    return head


def terms(dtype: torch.dtype) -> list[RowTerm]:
    """Sampled tokens, top-k and two whole-vocabulary terms, overlapping."""
    generator = torch.Generator().manual_seed(1)
    ids = distinct_ids(5, 3, vocab_size=VOCAB, generator=generator)
    project = nn.Linear(WIDTH, PADDED)
    project.load_state_dict({"weight": torch.randn(PADDED, WIDTH, generator=generator), "bias": torch.zeros(PADDED)})
    states = torch.randn(ROWS, WIDTH, generator=generator)
    teacher = Hidden(states.to(dtype), project.to(dtype))
    some, every = torch.tensor([0, 2, 3, 7, 10]), torch.arange(ROWS)
    target = some_logprobs(5, ids, vocab_size=VOCAB, generator=generator).to(dtype)
    weights = torch.rand(ROWS, generator=generator, dtype=torch.float64).to(dtype)
    two = Hidden(teacher.states[some], teacher.project)
    return [
        RowTerm("opd", every, weights, Likelihood(torch.ones(ROWS, 1, dtype=dtype)), ids=every[:, None] % VOCAB),
        RowTerm("top_k", some, weights[:5], Divergence("reverse", target, "tail"), ids=ids),
        RowTerm("full", every, weights, Divergence("jsd", beta=0.3), target=teacher),
        RowTerm("more", some, -weights[:5], Divergence("reverse"), target=two),
    ]


def dense(head: Head, hidden: Tensor) -> Tensor:
    """The same written out, without chunks; float64 states."""
    live = (head(hidden) / TEMPERATURE).log_softmax(1)
    opd, top_k, full, more = terms(torch.float64)
    assert full.target is not None and top_k.ids is not None and isinstance(top_k.row_loss, Divergence)
    told = (full.target.project(full.target.states)[:, :VOCAB].detach() / TEMPERATURE).log_softmax(1)
    middle = (0.3 * told.exp() + 0.7 * live.exp()).log()
    jsd = 0.3 * told.exp() * (told - middle) + 0.7 * live.exp() * (live - middle)
    at, t = live[top_k.index].gather(1, top_k.ids), top_k.row_loss.target
    assert t is not None
    at, t = (torch.cat([side, torch.log1p(-side.exp().sum(1, keepdim=True))], 1) for side in (at, t))
    parts = (
        -opd.weights @ live.gather(1, opd.ids).squeeze(1),  # type: ignore[arg-type]
        top_k.weights @ (at.exp() * (at - t)).sum(1),
        full.weights @ jsd.sum(1),
        more.weights @ (live.exp() * (live - told)).sum(1)[more.index],
    )
    return torch.stack(parts).sum()


@dataclass(frozen=True)
class Compared:
    """Loss and gradients (states, parameters) of the executor and of the dense float64 form; sum of |terms|."""

    found: list[Tensor]
    expected: list[Tensor]
    size: float


def compared(form: Form, dtype: torch.dtype, *, chunk_rows: int) -> Compared:
    """The executor in ``dtype``."""
    head, hidden = head_of(form, dtype), torch.randn(ROWS, WIDTH).to(dtype).requires_grad_()
    used = torch.float64 if dtype == torch.float64 else torch.float32
    loss, sums = head_loss(hidden, head, terms(used), temperature=TEMPERATURE, chunk_rows=chunk_rows)
    found = [loss.detach(), *torch.autograd.grad(loss, [hidden, *head.parameters])]
    exact = head_of(form, dtype)
    exact.module.double()
    states = hidden.detach().double().requires_grad_()
    value = dense(exact, states)
    expected = [value.detach(), *torch.autograd.grad(value, [states, *exact.parameters])]
    return Compared(found, expected, sum(abs(float(part)) for part in sums.values()))


@pytest.mark.parametrize("chunk_rows", [4, 100])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 4e-3)])
@pytest.mark.parametrize("name", FORMS)
def test_value_and_gradients(name: str, dtype: torch.dtype, bound: float, chunk_rows: int) -> None:
    """In bfloat16 only the gradients round, once, when they are handed over: half a unit in 8 bits is 2e-3."""
    both = compared(FORMS[name], dtype, chunk_rows=chunk_rows)
    assert len(both.found) == len(both.expected) >= (2 if FORMS[name].lora == ("q_proj",) else 3)
    assert abs(float(both.found[0] - both.expected[0])) < min(bound, 1e-6) * both.size
    assert both.found[0].dtype == torch.promote_types(dtype, torch.float32)
    for mine, true in zip(both.found[1:], both.expected[1:], strict=True):
        assert float((mine.double() - true).norm() / true.norm()) < bound
        assert mine.dtype == dtype and true.norm() > 1e-3


@pytest.mark.parametrize("name", FORMS)
def test_scores_of_every_form(name: str) -> None:
    head, hidden = head_of(FORMS[name], torch.float32), torch.randn(ROWS, WIDTH)
    ids = torch.arange(ROWS)[:, None] % VOCAB
    found = score_rows(
        hidden, head, token_id=ids[:, 0], ids=ids, top_k=3, entropy=True, temperature=TEMPERATURE, chunk_rows=4
    )
    exact = head_of(FORMS[name], torch.float32)
    exact.module.double()
    with torch.no_grad():
        live = (exact(hidden.double()) / TEMPERATURE).log_softmax(1)
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(found.sampled.double(), live.gather(1, ids).squeeze(1), **close)
    torch.testing.assert_close(found.at_ids, found.sampled[:, None])
    torch.testing.assert_close(found.top_logprobs.double(), live.topk(3).values, **close)  # type: ignore[union-attr]
    torch.testing.assert_close(found.entropy.double(), -(live.exp() * live).sum(1), **close)  # type: ignore[union-attr]


def test_narrow_weights_are_widened_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("understudy.models.head._TILE_TOKENS", 7)
    head = head_of(Form(bias=True, scale=0.5), torch.bfloat16)
    assert [(start, stop) for start, stop, _ in head.weight_tiles(torch.float32)] == [(0, 7), (7, 14), (14, VOCAB)]
    both = compared(Form(bias=True, scale=0.5), torch.bfloat16, chunk_rows=4)
    for mine, true in zip(both.found[1:], both.expected[1:], strict=True):
        assert float((mine.double() - true).norm() / true.norm()) < 4e-3


def test_a_target_that_gives_tokens_no_mass_and_rows_of_weight_zero() -> None:
    head, hidden = head_of(Form(), torch.float32), torch.randn(ROWS, WIDTH).requires_grad_()
    told = torch.randn(ROWS, PADDED)
    told[:, ::2] = -torch.inf
    target = Hidden(torch.eye(ROWS), lambda rows: rows @ torch.nan_to_num(told, neginf=-1e30))
    for weight in (0.0, 1.0):
        weights, every = torch.full((ROWS,), weight), torch.arange(ROWS)
        for kind in ("forward", "reverse", "jsd", "skew_forward", "skew_reverse"):
            hidden.grad = None
            term = RowTerm("t", every, weights, Divergence(kind), target=target)  # type: ignore[arg-type]
            loss, _ = head_loss(hidden, head, [term], chunk_rows=4)
            loss.backward()
            assert bool(loss.isfinite()) and bool(hidden.grad.isfinite().all())
            assert (weight == 0.0) == (hidden.grad.abs().max() == 0)


def test_the_gradients_are_given_away_once() -> None:
    head, hidden = head_of(Form(), torch.float32), torch.randn(ROWS, WIDTH).requires_grad_()
    loss, _ = head_loss(hidden, head, terms(torch.float32), chunk_rows=4)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        loss.backward()
