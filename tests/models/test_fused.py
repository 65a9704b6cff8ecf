"""The fused pieces and their gradients are those of the same words in torch, in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from understudy.models import native
from understudy.models.fused import can_take, gated, kernel, rms_norm, turned

pytestmark = pytest.mark.skipif(kernel() is None, reason="there is no C compiler")
DTYPES = {torch.float32: 2e-6, torch.bfloat16: 1e-2}
WIDTHS = [16, 24, 33, 200]


def plain_norm(x: Tensor, weight: Tensor, epsilon: float = 1e-6) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt() * weight


def plain_turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    low, high = x.chunk(2, -1)
    return x * cosine[..., None, :] + torch.cat([-high, low], -1) * sine[..., None, :]


def compare(ours: Callable[..., Tensor], plain: Callable[..., Tensor], inputs: list[Tensor], tolerance: float) -> None:
    """Value and gradients, relative to the largest number of each."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    exact = [x.double().requires_grad_() for x in inputs]
    one, other = ours(*leaves), plain(*exact)
    g = torch.randn(other.shape).to(one.dtype)
    pairs = [(one, other)]
    pairs += zip(
        torch.autograd.grad(one, leaves, g), torch.autograd.grad(other, exact, g.double()), strict=True
    )  # fmt: skip
    for got, wanted in pairs:
        assert got.shape == wanted.shape
        assert (got.double() - wanted).abs().max() <= tolerance * wanted.abs().max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_norm(dtype: torch.dtype, width: int) -> None:
    x, weight = torch.randn(3, 5, width).to(dtype), torch.randn(width)
    compare(lambda x, w: rms_norm(x, w, epsilon=1e-6, dtype=torch.float32), plain_norm, [x, weight], DTYPES[dtype])
    rounded = rms_norm(x, weight, epsilon=1e-6, dtype=torch.bfloat16)
    assert torch.equal(rounded, rms_norm(x, weight, epsilon=1e-6, dtype=torch.float32).bfloat16()), "rounded once"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_gate(dtype: torch.dtype, width: int) -> None:
    gate, up = (5 * torch.randn(7, 50, width)).to(dtype), torch.randn(7, 50, width).to(dtype)
    compare(gated, lambda gate, up: gate * gate.sigmoid() * up, [gate, up], DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [2, 8, 32, 50])
@pytest.mark.parametrize("normed", [True, False])
def test_turn(dtype: torch.dtype, width: int, normed: bool) -> None:
    x, weight = torch.randn(2, 6, 3, width).to(dtype), torch.randn(width)
    angles = torch.randn(1, 6, width // 2).repeat(1, 1, 2)
    cosine, sine = angles.cos(), angles.sin()

    def ours(x: Tensor, *weight: Tensor) -> Tensor:
        return turned(x, weight[0] if weight else None, cosine, sine, epsilon=1e-6, dtype=torch.float32)

    def plain(x: Tensor, *weight: Tensor) -> Tensor:
        x = plain_norm(x, weight[0]) if weight else x
        return plain_turn(x, cosine.double(), sine.double())

    compare(ours, plain, [x, weight] if normed else [x], DTYPES[dtype])


def test_threads_change_nothing_but_the_order_of_a_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    def results() -> list[Tensor]:
        torch.manual_seed(0)
        x, weight = torch.randn(400, 300, requires_grad=True), torch.randn(300, requires_grad=True)
        y = gated(rms_norm(x, weight, epsilon=1e-6, dtype=torch.float32), x * 2)
        heads = y.view(400, 10, 30)
        angles = torch.ones(400, 30)
        turned(heads, None, angles, angles, epsilon=0, dtype=torch.float32).square().sum().backward()
        assert x.grad is not None and weight.grad is not None
        return [y.detach(), x.grad, weight.grad]

    one = results()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert len(native.shares_of(400, fewest=100)) == 3
    two = results()
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    torch.testing.assert_close(one[2], two[2], rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_a_number_stays_so(dtype: torch.dtype) -> None:
    for bad in (float("nan"), float("inf")):
        x = torch.ones(2, 40, dtype=dtype)
        x[1, 3] = bad
        for y in (rms_norm(x, torch.ones(40), epsilon=1e-6, dtype=dtype), gated(x, x)):
            assert y[0].isfinite().all()
            assert not y[1].isfinite().all()


def test_what_the_kernels_cannot_read_is_known() -> None:
    assert can_take(torch.zeros(2, 3), torch.zeros(3, dtype=torch.bfloat16))
    assert not can_take(torch.zeros(3, dtype=torch.float64))
    assert not can_take(torch.zeros(3, device="meta"))
    assert not can_take(torch.zeros(1, 20000))
