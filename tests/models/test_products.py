"""Rounded factors: sums of float32, a switch that is put back, and a head that rounds no more than it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import Qwen3ForCausalLM

from tests.conformance.tiny import tiny_config
from understudy.models.head import Head
from understudy.models.head_loss import head_loss
from understudy.models.products import exact_products, rounded_factors
from understudy.models.row_terms import RowTerm
from understudy.plans import Likelihood

ROWS, WIDTH, VOCAB = 96, 64, 640


def short(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def off(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().double(), expected.detach().double()
    return float((found - expected).norm() / expected.norm())


def rounds_here() -> bool:
    """Whether this processor has such products: elsewhere the switch is asked for and nothing changes."""
    a, b = torch.randn(ROWS, WIDTH), torch.randn(WIDTH, VOCAB)
    with rounded_factors("cpu"):
        return off(a @ b, a.double() @ b.double()) > 1e-4


def head_and_states(*, rounded: bool, dtype: torch.dtype = torch.float32) -> tuple[Head, Tensor]:
    config = tiny_config(vocab_size=VOCAB, hidden_size=WIDTH, initializer_range=0.4, tie_word_embeddings=False)
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config).to(dtype)
    return Head(model, vocab_size=VOCAB, rounded=rounded), torch.randn(ROWS, WIDTH).to(dtype)


def loss_gradients(head: Head, hidden: Tensor) -> list[Tensor]:
    states, every = hidden.clone().requires_grad_(), torch.arange(ROWS)
    weights = torch.linspace(-1, 1, ROWS)
    term = RowTerm("opd", every, weights, Likelihood(torch.ones(ROWS, 1)), ids=every[:, None])
    loss, _ = head_loss(states, head, [term], chunk_rows=40)
    return list(torch.autograd.grad(loss, [states, *head.parameters]))


def test_factors_are_rounded_and_sums_are_not() -> None:
    a, b = torch.randn(ROWS, WIDTH), torch.randn(WIDTH, VOCAB)
    with rounded_factors("cpu"):
        found = a @ b
    expected = short(a) @ short(b) if rounds_here() else a @ b
    assert found.dtype == torch.float32
    assert off(found, expected) < 1e-6


@pytest.mark.parametrize("wanted", [True, False])
def test_the_switch_is_put_back(wanted: bool) -> None:
    a, b = torch.randn(ROWS, WIDTH), torch.randn(WIDTH, VOCAB)
    plain = a @ b
    with pytest.raises(ValueError, match="inside"), rounded_factors("cpu", wanted=wanted):
        raise ValueError("inside")
    with rounded_factors("cpu"), rounded_factors("cpu"):
        pass
    assert torch.equal(a @ b, plain)
    with rounded_factors("cpu", wanted=False), rounded_factors("meta"):
        assert torch.equal(a @ b, plain)


def test_nobody_rounds_while_another_thread_computes() -> None:
    place = torch.backends.mkldnn.matmul
    before = place.fp32_precision
    with exact_products(), exact_products():
        pass
    with exact_products(), rounded_factors("cpu"):
        assert place.fp32_precision == before
    with rounded_factors("cpu"):
        assert place.fp32_precision == "bf16"


def test_a_rounded_head_rounds_factors_alone() -> None:
    """The logits of rounded states under rounded weights; gradients within what eight bits of three factors allow."""
    (head, hidden), (plain, _) = head_and_states(rounded=True), head_and_states(rounded=False)
    logits, exact = head(hidden), hidden @ plain.weight.T
    assert logits.dtype == torch.float32
    assert off(plain(hidden), exact) < 1e-6
    assert off(logits, short(hidden) @ short(plain.weight).T if rounds_here() else exact) < 1e-6
    found, true = loss_gradients(head, hidden), loss_gradients(plain, hidden)
    assert len(found) == len(true) == 2
    for mine, theirs in zip(found, true, strict=True):
        assert mine.dtype == torch.float32
        assert (1e-4 < off(mine, theirs) < 6e-3) if rounds_here() else off(mine, theirs) < 1e-6


def test_states_and_weights_that_are_short_already_lose_nothing() -> None:
    """A bfloat16 teacher's logits come of quick products and are those of float32."""
    head, hidden = head_and_states(rounded=False, dtype=torch.bfloat16)
    assert off(head(hidden), hidden.double() @ head.weight.double().T) < 1e-6
    head.scale = 0.3  # a scaled state is no bfloat16 number any more
    assert off(head(hidden), 0.3 * hidden.double() @ head.weight.double().T) < 1e-6
