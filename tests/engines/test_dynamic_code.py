from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from understudy.engines.local.dynamic_code import BLOCK, code, decode, encode


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_code_by_hand() -> None:
    """The largest decade of the signed code has 64 middles of width 0.9 / 64; the smallest has one, at 0.55e-6."""
    signed, unsigned = code(signed=True).double(), code(signed=False).double()
    assert signed.unique().numel() == unsigned.unique().numel() == 256
    assert signed[-1] == 1
    assert unsigned[0] == 0
    assert float(signed[-2]) == pytest.approx(1 - 0.45 / 64, rel=1e-6)
    assert float(unsigned[-2]) == pytest.approx(1 - 0.45 / 128, rel=1e-6)
    assert float(signed[signed > 0].min()) == pytest.approx(0.55e-6, rel=1e-6)
    assert torch.equal(signed[signed < 0].flip(0), -signed[signed.gt(0) & signed.lt(1)])


@given(st.integers(0, 10), st.integers(1, 700), st.sampled_from([1e-12, 1.0, 1e12]))
def test_nothing_is_further_from_its_value_than_a_step_of_the_code(seed: int, count: int, scale: float) -> None:
    values = torch.randn(count, generator=generator(seed)) * scale
    for signed in (True, False):
        given_values = values if signed else values.abs()
        back = decode(encode(given_values, signed=signed, generator=generator(seed)), signed=signed)
        for start in range(0, count, BLOCK):
            block, there = given_values[start : start + BLOCK], back[start : start + BLOCK]
            largest = float(block.abs().max())
            assert float((block - there).abs().max()) <= (0.5 if signed else 1.0) * 0.9 / 64 * largest * 1.01


def test_a_large_value_spoils_its_own_block_only() -> None:
    values = torch.full((2 * BLOCK,), 1e-9)
    values[0] = 1.0
    back = decode(encode(values, signed=True, generator=generator()), signed=True)
    assert back[1:BLOCK].abs().max() == 0
    torch.testing.assert_close(back[BLOCK:], values[BLOCK:])


def test_divisors_are_right_on_average_and_never_zero() -> None:
    values = torch.rand(BLOCK, generator=generator()) ** 4
    values[0], values[1], values[2] = 1.0, 1e-9, 0.0
    draws = generator(1)
    backs = torch.stack([decode(encode(values, signed=False, generator=draws), signed=False) for _ in range(2000)])
    assert bool((backs[:, 1] > 0).all())
    assert bool((backs[:, 2] == 0).all())
    error = (backs.double().mean(0) - values)[3:].abs()
    spread = backs.double().std(0)[3:] / 2000**0.5
    assert bool((error <= 5 * spread + 1e-6).all())
    assert bool((spread > 0).any())


def test_zeros_stay_zeros() -> None:
    for signed in (True, False):
        back = decode(encode(torch.zeros(300), signed=signed, generator=generator()), signed=signed)
        assert torch.equal(back, torch.zeros(300))
