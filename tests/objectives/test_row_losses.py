"""Row losses at their edges, by hand: entries that only fill a row, no advantage, no mass."""

from __future__ import annotations

import math

import pytest
import torch

from understudy.objectives.row_losses import evaluate, evaluate_full
from understudy.plans import Divergence, Likelihood, Ratio, RowLoss, ToTarget

HALF = math.log(0.5)


def row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def value_and_slope(loss: RowLoss, live: torch.Tensor, valid: list[bool] | None = None) -> tuple[float, list[float]]:
    live = live.clone().requires_grad_()
    total = evaluate(loss, live, valid=None if valid is None else torch.tensor([valid])).sum()
    return float(total), torch.autograd.grad(total, live)[0][0].tolist()


@pytest.mark.parametrize("kind", ["one", "importance"])
def test_an_entry_that_fills_a_likelihood_s_row_is_no_candidate(kind):
    loss = Likelihood(row(2.0, 5.0), Ratio(kind), row(HALF, HALF))
    value, slope = value_and_slope(loss, row(HALF, -3.0), [True, False])
    assert value == pytest.approx({"one": -2 * HALF, "importance": -2.0}[kind])
    assert slope == [-2.0, 0.0]


@pytest.mark.parametrize("kind", ["square", "huber", "k3"])
def test_an_entry_that_fills_a_target_s_row_pulls_nothing(kind):
    loss = ToTarget(row(-1.0, -7.0), kind)
    value, slope = value_and_slope(loss, row(-1.5, -2.0), [True, False])
    assert value == pytest.approx({"square": 0.125, "huber": 0.125, "k3": math.exp(0.5) - 1.5}[kind])
    assert slope[0] == pytest.approx({"square": -0.5, "huber": -0.5, "k3": 1 - math.exp(0.5)}[kind])
    assert slope[1] == 0.0


def test_the_corner_of_huber_is_its_delta():
    loss = ToTarget(row(0.0, 0.0), "huber", delta=0.25)
    assert value_and_slope(loss, row(-0.2, -3.0)) == (
        pytest.approx(0.2**2 / 2 + 0.25 * (3 - 0.125)),
        pytest.approx([-0.2, -0.25]),
    )


@pytest.mark.parametrize("kind", ["one", "importance"])
def test_no_advantage_is_exactly_nothing_also_where_the_student_has_no_mass(kind):
    loss = Likelihood(row(0.0, 1.0), Ratio(kind), row(-1.0, HALF))
    value, slope = value_and_slope(loss, row(-math.inf, HALF))
    assert value == pytest.approx({"one": -HALF, "importance": -1.0}[kind])
    assert slope == [0.0, -1.0]


def test_a_target_without_mass_is_raised_to_the_floor_on_the_whole_vocabulary():
    live, target = row(HALF, HALF), row(0.0, -math.inf)
    assert float(evaluate_full(Divergence("reverse"), live, target)) == pytest.approx(HALF + 0.5 * 100)
    assert float(evaluate_full(Divergence("reverse", target_floor=-4.0), live, target)) == pytest.approx(HALF + 2)
