"""Intervals and tests against published and hand-computed values, and their coverage by simulation."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import DataError, UserMistakeError
from understudy.evaluation import clustered_interval, mean_interval, paired, sign_test, wilson_interval

counts = st.integers(0, 300)


def test_wilson_matches_its_closed_form() -> None:
    z = 1.959963984540054
    for successes, n in [(1, 10), (81, 263), (15, 148)]:
        p = successes / n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        estimate = wilson_interval(successes, n)
        assert (estimate.low, estimate.high) == pytest.approx((centre - half, centre + half), abs=1e-12)
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
    assert (wilson_interval(81, 263).low, wilson_interval(81, 263).high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (wilson_interval(15, 148).low, wilson_interval(15, 148).high) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert (wilson_interval(0, 20).low, wilson_interval(0, 20).high) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert (wilson_interval(1, 29).low, wilson_interval(1, 29).high) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_wilson_at_the_ends_is_exact_and_never_empty() -> None:
    none, all_ = wilson_interval(0, 500), wilson_interval(500, 500)
    assert none.low == 0.0 and 0 < none.high < 0.01
    assert all_.high == 1.0 and 0.99 < all_.low < 1


@given(n=st.integers(1, 400), share=st.floats(0, 1))
def test_wilson_holds_its_mean_and_mirrors(n: int, share: float) -> None:
    successes = round(share * n)
    estimate, mirror = wilson_interval(successes, n), wilson_interval(n - successes, n)
    assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 1
    assert estimate.low == pytest.approx(1 - mirror.high, abs=1e-12)


def test_wilson_covers_95_percent() -> None:
    rng = np.random.default_rng(0)
    for p, n in [(0.1, 100), (0.5, 60), (0.93, 300)]:
        hits = [(e := wilson_interval(int(k), n)).low <= p <= e.high for k in rng.binomial(n, p, size=2000)]
        assert 0.92 <= np.mean(hits) <= 0.975  # at p = 0.1 Wilson covers 93.6 % in truth


def test_clustered_interval_by_hand() -> None:
    # means 0, 1/2, 1, 1/2: mean 1/2, sd sqrt(1/6), se sqrt(1/24); t(0.975, 3) = 3.182446
    estimate = clustered_interval([0.0, 0.5, 1.0, 0.5])
    assert estimate.mean == 0.5 and estimate.n == 4
    assert estimate.low == 0.0  # 0.5 - 0.6496 is cut
    estimate = clustered_interval([0.4, 0.5, 0.6, 0.5])  # se sqrt(0.02 / 3) / 2 = 0.0408248
    assert estimate.high - estimate.mean == pytest.approx(3.182446 * 0.0408248, rel=1e-5)


def test_clustered_interval_covers_where_the_naive_one_does_not() -> None:
    """Problems of very different difficulty, 16 samples each: samples of one problem are not independent."""
    rng = np.random.default_rng(1)
    problems, samples = 40, 16
    hits, naive_hits = [], []
    for _ in range(1500):
        difficulty = rng.beta(0.5, 0.5, size=problems)  # mean 1/2
        means = rng.binomial(samples, difficulty) / samples
        estimate = clustered_interval(means.tolist())
        hits.append(estimate.low <= 0.5 <= estimate.high)
        naive = wilson_interval(means.sum() * samples, problems * samples)
        naive_hits.append(naive.low <= 0.5 <= naive.high)
    assert 0.93 <= np.mean(hits) <= 0.97
    assert np.mean(naive_hits) < 0.6


@pytest.mark.parametrize("means", [[1.0] * 500, [0.0] * 500, [0.5] * 12, [0.25]])
def test_equal_means_do_not_give_an_empty_interval(means: list[float]) -> None:
    estimate = clustered_interval(means)
    assert estimate.mean == pytest.approx(means[0])
    assert estimate.high - estimate.low > 0
    assert 0 <= estimate.low <= estimate.mean <= estimate.high <= 1


def test_mean_interval_by_hand() -> None:
    estimate = mean_interval([1.0, 2.0, 3.0])  # sd 1, se 1 / sqrt(3), t(0.975, 2) = 4.302653
    assert (estimate.mean, estimate.n) == (2.0, 3)
    assert estimate.high - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert mean_interval([2.0, 2.0, 2.0]).low == 2.0


def test_one_score_bounds_nothing_and_still_is_json() -> None:
    estimate = mean_interval([3.5])
    assert estimate.low == -math.inf and estimate.high == math.inf
    read = json.loads(json.dumps(estimate.to_json(), allow_nan=False))
    assert read == {"mean": 3.5, "low": None, "high": None, "n": 1}


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30), st.floats(-50, 50))
def test_mean_interval_moves_with_its_scores(scores: list[float], shift: float) -> None:
    here, there = mean_interval(scores), mean_interval([score + shift for score in scores])
    assert there.low == pytest.approx(here.low + shift, abs=1e-6)
    assert there.high == pytest.approx(here.high + shift, abs=1e-6)


def test_sign_test_by_hand() -> None:
    assert sign_test(5, 0) == pytest.approx(2 / 32)
    assert sign_test(9, 1) == pytest.approx(2 * (1 + 10) / 1024)
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 3) == pytest.approx(1.0)


@given(wins=counts, losses=counts)
def test_sign_test_is_symmetric_and_a_probability(wins: int, losses: int) -> None:
    assert sign_test(wins, losses) == pytest.approx(sign_test(losses, wins), rel=1e-9)
    assert 0 <= sign_test(wins, losses) <= 1


def test_sign_test_is_no_larger_than_its_level() -> None:
    rng = np.random.default_rng(2)
    p_values = [sign_test(int(wins), 40 - int(wins)) for wins in rng.binomial(40, 0.5, size=2000)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.06


@pytest.mark.parametrize(
    ("wins", "ties", "losses", "margin", "low", "high", "p_value"),
    [(123, 20, 77, 0.209, 0.086, 0.332, 0.00140), (126, 15, 79, 0.214, 0.089, 0.338, 0.00126)],
)
def test_paired_gives_the_published_figures(
    wins: int, ties: int, losses: int, margin: float, low: float, high: float, p_value: float
) -> None:
    result = paired(wins, ties, losses)
    assert (result.margin, result.margin_low, result.margin_high) == pytest.approx((margin, low, high), abs=5e-4)
    assert result.p_value == pytest.approx(p_value, abs=5e-6)
    assert result.win_rate == wins / 220


def test_where_every_problem_went_the_same_way_the_margin_is_not_known_exactly() -> None:
    # (1 - u)^30 = 0.025 at u = 0.1157034: so many problems may never have been met
    ties, wins, losses = paired(0, 30, 0), paired(30, 0, 0), paired(0, 0, 30)
    assert (ties.margin_low, ties.margin_high) == pytest.approx((-0.1157034, 0.1157034), abs=1e-6)
    assert (wins.margin, wins.margin_low, wins.margin_high) == pytest.approx((1.0, 1 - 2 * 0.1157034, 1.0), abs=1e-6)
    assert (losses.margin_low, losses.margin_high) == pytest.approx((-1.0, 2 * 0.1157034 - 1), abs=1e-6)


@given(wins=counts, ties=counts, losses=counts)
def test_paired_mirrors(wins: int, ties: int, losses: int) -> None:
    if wins + ties + losses == 0:
        return
    here, there = paired(wins, ties, losses), paired(losses, ties, wins)
    assert here.margin == -there.margin
    assert here.margin_low == pytest.approx(-there.margin_high, abs=1e-12)
    assert -1 <= here.margin_low <= here.margin <= here.margin_high <= 1
    assert here.p_value == pytest.approx(there.p_value, rel=1e-9)


def test_paired_has_the_keys_of_the_contract() -> None:
    expected = {"wins", "ties", "losses", "win_rate", "margin", "margin_low", "margin_high", "p_value"}
    assert set(paired(3, 2, 1).to_json()) == expected
    assert set(wilson_interval(3, 6).to_json()) == {"mean", "low", "high", "n"}


def test_what_cannot_be_averaged_is_refused() -> None:
    for call in (
        lambda: wilson_interval(0, 0),
        lambda: wilson_interval(3, 2),
        lambda: clustered_interval([]),
        lambda: clustered_interval([0.5, 1.5]),
        lambda: mean_interval([]),
        lambda: mean_interval([1.0, float("nan")]),
        lambda: paired(0, 0, 0),
        lambda: paired(-1, 2, 3),
    ):
        with pytest.raises(DataError):
            call()
    with pytest.raises(UserMistakeError, match="confidence"):
        wilson_interval(1, 2, confidence=1.0)
