from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from understudy.world import SingleProcess, quantile

numbers = st.floats(-1e3, 1e3, allow_nan=False)


@given(values=st.lists(numbers, min_size=1, max_size=50), q=st.floats(0, 1))
def test_quantile_is_numpys(values: list[float], q: float):
    got = quantile(torch.tensor(values, dtype=torch.float64), q)
    assert float(got) == pytest.approx(np.quantile(values, q), rel=1e-12, abs=1e-9)


@given(values=st.lists(numbers, min_size=1, max_size=50), q=st.floats(0, 1), seed=st.integers(0, 99))
def test_quantile_ignores_the_order(values: list[float], q: float, seed: int):
    tensor = torch.tensor(values)
    shuffled = tensor[torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))]
    assert quantile(tensor, q) == quantile(shuffled, q)


def test_quantile_by_hand():
    values = torch.tensor([10.0, 0.0, 20.0, 40.0])
    assert [float(quantile(values, q)) for q in (0, 0.5, 0.9, 1)] == pytest.approx([0, 15, 34, 40])


def test_quantile_of_nothing_is_nan_of_the_same_type():
    empty = quantile(torch.zeros(0, dtype=torch.float64), 0.5)
    assert math.isnan(empty)
    assert empty.dtype == torch.float64


def test_an_infinite_neighbour_does_not_spoil_an_exact_place():
    """A teacher may give a token no mass at all; the quantile that falls on a finite value stays finite."""
    values = torch.tensor([-math.inf, -math.inf, 1.0, 2.0, math.inf])
    assert float(quantile(values, 0.5)) == 1.0
    assert float(quantile(values, 0.75)) == 2.0
    assert float(quantile(values, 0.1)) == -math.inf


def test_one_process_reduces_to_itself():
    world = SingleProcess()
    value = torch.tensor([1.0, -2.0])
    assert world.size == 1
    for reduced in (world.sum(value), world.min(value), world.max(value)):
        assert torch.equal(reduced, value)
    assert float(world.quantile(value, 0.5)) == -0.5
