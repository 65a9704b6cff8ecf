"""Rows by hand: what is averaged over what, and what an interval is over."""

from __future__ import annotations

import math

import pytest

from tests.bench.hand_made import DOMAINS, result
from understudy.bench.rows import cell_of, row_of, verdict_of
from understudy.bench.settings import Domain
from understudy.evaluation.statistics import clustered_interval, wilson_interval

START = [result("start", seed, answers, rate=None) for seed, answers in ((0, (0, 0, 0, 1)), (1, (0, 1, 0, 1)))]


def test_a_cell_by_hand() -> None:
    """Two seeds of four problems: accuracies 1/2 and 3/4, mean 5/8, standard error 1/8, t of one degree 12.706."""
    cell = cell_of([[1, 1, 0, 0], [1, 1, 1, 0]], [[0, 0, 0, 1], [0, 1, 0, 1]])
    half = 12.7062 / 8
    assert cell.over_seeds.mean == 0.625 and cell.over_seeds.n == 2
    assert (cell.over_seeds.low, cell.over_seeds.high) == (0, 1)  # wider than a share can be
    assert cell.over_problems == clustered_interval([1.0, 1.0, 0.5, 0.0])
    assert cell.gain_over_seeds is not None and cell.gain_over_problems is not None
    assert cell.gain_over_seeds.mean == 0.25 and cell.gain_over_seeds.high == pytest.approx(0.25)  # 1/4 with both seeds
    assert cell.gain_over_problems.mean == 0.25 and cell.gain_over_problems.n == 4
    # Differences by problem: 1, 1/2, 1/2, -1; their sd is sqrt(9/12 ...) as numpy has it, t of three degrees 3.1824.
    differences = [1.0, 0.5, 0.5, -1.0]
    sd = math.sqrt(sum((d - 0.25) ** 2 for d in differences) / 3)
    assert cell.gain_over_problems.high == pytest.approx(0.25 + 3.18245 * sd / 2, abs=1e-4)
    wide = cell_of([[1] * 40 + [0] * 60, [1] * 42 + [0] * 58], None)
    assert wide.over_seeds.mean == pytest.approx(0.41)
    assert wide.over_seeds.high == pytest.approx(0.41 + half * 8 * 0.01, abs=1e-4)
    assert wide.gain_over_seeds is None


def test_one_seed_has_no_interval_over_seeds() -> None:
    cell = cell_of([[1, 0, 0, 0]], [[0, 0, 0, 0]])
    assert math.isinf(cell.over_seeds.low) and math.isinf(cell.over_seeds.high)
    assert cell.over_problems == wilson_interval(1, 4)
    assert cell.to_json()["over_seeds"] == {"mean": 0.25, "low": None, "high": None, "n": 1}


def test_a_row_means_over_seeds_and_pairs_with_the_start_of_the_same_seed() -> None:
    runs = [result("opd", 1, (1, 1, 1, 1)), result("opd", 0, (1, 1, 0, 0), seconds=10.0, norms=(1.0, 1.0))]
    row = row_of(runs, START, DOMAINS)
    gain = row.cells["products"]["sampled"].gain_over_seeds
    assert gain is not None and gain.mean == pytest.approx(((1 - 0.5) + (0.5 - 0.25)) / 2)
    assert row.cells["order"]["sampled"].over_seeds.mean == 0.5
    assert row.cells["products"]["greedy"].over_problems.mean == 0
    assert (row.learning_rate, row.seeds) == (1e-3, (1, 0))
    assert row.reverse_kl == 1.0 and row.entropy == 0.25 and row.length == 10.0
    assert row.grad_norm == pytest.approx((3.0 + 1.0) / 2) and row.seconds == 8.0
    assert row.seconds_a_step == {"sample": pytest.approx(0.1), "update": pytest.approx(0.2)}


def test_the_start_has_no_gain_and_no_training() -> None:
    row = row_of(START, (), DOMAINS)
    assert row.cells["products"]["sampled"].gain_over_seeds is None
    assert (row.learning_rate, row.grad_norm, row.seconds, row.seconds_a_step) == (None, None, None, None)


def test_a_diverged_seed_is_told_and_left_out() -> None:
    runs = [result("opd", 0, (1, 1, 1, 1)), result("opd", 1, (), diverged="the loss is not finite")]
    row = row_of(runs, START, DOMAINS)
    assert row.diverged == (1,) and row.cells["products"]["sampled"].over_seeds.n == 1
    nothing = row_of([result("opd", 0, (), diverged="x")], START, DOMAINS)
    assert nothing.cells == {} and nothing.reverse_kl is None and nothing.to_json()["diverged"] == [0]


def test_above_both_experts_only_where_both_intervals_are_above_zero() -> None:
    domains = (Domain("products", "a", "x"), Domain("order", "b", "y"))

    def told(label: str, products: int, order: int) -> list:
        """Right answers of a hundred, one more with each seed."""

        def right(count: int) -> list[int]:
            return [1] * count + [0] * (100 - count)

        return [result(label, seed, right(products + seed), right(order)) for seed in range(3)]

    experts = {"products-expert": told("products-expert", 50, 0), "order-expert": told("order-expert", 0, 60)}
    both = verdict_of(told("a", 55, 70), experts, domains)
    assert both.margins["products"]["sampled"].mean == pytest.approx(0.05)
    assert both.margins["order"]["sampled"].mean == pytest.approx(0.10)
    assert both.above_all == {"greedy": False, "sampled": True}
    assert verdict_of(told("b", 70, 60), experts, domains).above_all["sampled"] is False  # equal is not above
    assert verdict_of(told("c", 49, 90), experts, domains).above_all["sampled"] is False
    # 0, 1 and 4 points above: 5/3 in the mean, with an interval that zero lies in.
    by_chance = [result("d", seed, [1] * (50 + seed + more) + [0] * (50 - seed - more), [1] * 90 + [0] * 10)
                 for seed, more in enumerate((0, 1, 4))]  # fmt: skip
    unsure = verdict_of(by_chance, experts, domains)
    margin = unsure.margins["products"]["sampled"]
    assert margin.mean == pytest.approx(0.05 / 3) and margin.low < 0
    assert unsure.above_all["sampled"] is False
    assert both.to_json()["above_all"] == {"greedy": False, "sampled": True}
