"""Differences of means, equivalence, Holm and McNemar: by hand, by another bootstrap, and their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from understudy.errors import DataError, UserMistakeError
from understudy.evaluation import differences
from understudy.evaluation.differences import Difference, equal_differences, paired_difference, unpaired_difference
from understudy.evaluation.equivalence import paired_equivalence, unpaired_equivalence
from understudy.evaluation.mcnemar import mcnemar
from understudy.evaluation.multiplicity import holm
from understudy.evaluation.statistics import Estimate, wilson_interval


def skewed(n: int) -> tuple[list[float], list[float]]:
    rng = np.random.default_rng(7)
    return list(rng.beta(4, 1, size=n)), list(rng.beta(2, 3, size=n) ** 2)


def bca_of_mean(values: np.ndarray, *, seed: int) -> tuple[float, float]:
    """Efron's formula written out: bias by the share below the mean, acceleration by the jackknife."""
    rng = np.random.default_rng(seed)
    means = values[rng.integers(0, len(values), size=(40_000, len(values)))].mean(axis=1)
    bias = stats.norm.ppf(np.mean(means < values.mean()))
    jackknife = (values.sum() - values) / (len(values) - 1)
    left = jackknife.mean() - jackknife
    acceleration = (left**3).sum() / (6 * (left**2).sum() ** 1.5)
    z = stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(means, stats.norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z))))
    return float(low), float(high)


def test_the_bootstrap_agrees_with_efrons_formula() -> None:
    first, second = skewed(40)
    found = paired_difference(first, second, seed=3)
    low, high = bca_of_mean(np.array(first) - np.array(second), seed=11)
    assert found.interval == "BCa bootstrap over problems"
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.03 * (high - low))
    assert found.mean == pytest.approx(np.mean(first) - np.mean(second), abs=1e-12)
    assert found.mean_a - found.mean_b == pytest.approx(found.mean, abs=1e-12)


def test_the_seed_decides_the_bootstrap() -> None:
    first, second = skewed(30)
    assert paired_difference(first, second, seed=1) == paired_difference(first, second, seed=1)
    assert paired_difference(first, second, seed=1).low != paired_difference(first, second, seed=2).low


def test_swapping_the_sides_mirrors_the_interval() -> None:
    first, second = skewed(60)
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low), abs=0.01)


def test_few_problems_take_students_t() -> None:
    # differences 0.2, 0.4: mean 0.3, se 0.1, t(0.975, 1) = 12.7062: 0.3 - 1.27062, and 1.57 is cut to 1
    found = paired_difference([0.6, 0.8], [0.4, 0.4])
    assert (found.mean_a, found.mean_b, found.mean) == pytest.approx((0.7, 0.4, 0.3))
    assert (found.low, found.high, found.n) == (pytest.approx(-0.97062, abs=1e-5), 1.0, 2)
    assert found.interval == "Student's t"


def test_equal_differences_are_bounded_by_what_was_never_met() -> None:
    # (1 - u)^50 = 0.025 at u = 0.0711216
    found = paired_difference([1.0] * 50, [1.0] * 50)
    assert (found.mean, found.low, found.high) == pytest.approx((0.0, -0.0711216, 0.0711216), abs=1e-6)
    found = paired_difference([1.0] * 50, [0.0] * 50)  # at worst 7.1 % of problems lie at -1
    assert (found.low, found.high) == pytest.approx((1 - 2 * 0.0711216, 1.0), abs=1e-6)
    assert equal_differences(0.5, 1, chance=0.025) == pytest.approx((0.5 - 0.975 * 1.5, 0.5 + 0.975 * 0.5))
    unbounded = paired_difference([-3.0, -3.0], [-3.0, -3.0])
    assert math.isinf(unbounded.low) and unbounded.to_json()["difference_low"] is None


@pytest.mark.parametrize("truth", [(0.7, 0.6), (0.85, 0.8)])
def test_the_bootstrap_covers_the_true_difference(truth: tuple[float, float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differences, "NUM_RESAMPLES", 999)
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(300):
        first, second = (rng.binomial(1, p, size=80).astype(float) for p in truth)
        found = paired_difference(list(first), list(second), seed=1)
        hits += found.low <= truth[0] - truth[1] <= found.high
    assert 0.91 <= hits / 300 <= 0.98


def test_scores_that_cannot_be_paired() -> None:
    with pytest.raises(DataError, match="different problems"):
        paired_difference([1.0], [1.0, 0.0])
    with pytest.raises(DataError, match="no problems"):
        paired_difference([], [])
    with pytest.raises(DataError, match="not a finite number"):
        paired_difference([math.nan, 1.0], [0.0, 0.0])


def test_newcombes_published_differences() -> None:
    # Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10, contrasts (a) to (d)
    published = {
        (56, 70, 48, 80): (0.0524, 0.3339),
        (9, 10, 3, 10): (0.1705, 0.8090),
        (6, 7, 2, 7): (0.0582, 0.8062),
        (5, 56, 0, 29): (-0.0381, 0.1926),
    }
    for (a, m, b, n), bounds in published.items():
        found = unpaired_difference(wilson_interval(a, m), wilson_interval(b, n))
        assert (found.low, found.high) == pytest.approx(bounds, abs=5e-5)


def test_an_unpaired_normal_difference_adds_the_variances() -> None:
    found = unpaired_difference(Estimate(0.6, 0.57, 0.63, 900), Estimate(0.5, 0.46, 0.54, 700))
    assert (found.low, found.high, found.n) == (pytest.approx(0.05), pytest.approx(0.15), 700)


def test_two_one_sided_tests_by_hand() -> None:
    # gains 0.1, 0, -0.1, 0, 0.05: mean 0.01, sd 0.0741620, se 0.0331662; against 0.1: t = 3.316625 and 2.713602, 4 df
    found = paired_equivalence([0.1, 0.0, -0.1, 0.0, 0.05], margin=0.1)
    assert (found.p_loss, found.p_gain) == pytest.approx((stats.t.sf(3.316625, 4), stats.t.sf(2.713602, 4)), rel=1e-5)
    assert found.level == pytest.approx(0.025)
    assert found.no_loss and not found.equivalent
    assert found.statement == 'The data support "no loss larger than 0.1" (p = 0.015).'
    assert paired_equivalence([0.1, 0.0, -0.1, 0.0, 0.05], margin=0.1, confidence=0.9).equivalent


def test_the_statement_agrees_with_students_interval() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        gains = rng.normal(0.0, 0.1, size=12)
        half = stats.t.ppf(0.975, 11) * gains.std(ddof=1) / math.sqrt(12)
        found = paired_equivalence(list(gains), margin=0.05)
        assert found.no_loss == (gains.mean() - half >= -0.05)


def test_equal_gains_support_a_margin_once_there_are_enough() -> None:
    # all ties, margin 0.02: 0.98^n <= 0.025 from n = 183 on
    assert not paired_equivalence([0.0] * 182, margin=0.02).no_loss
    assert paired_equivalence([0.0] * 183, margin=0.02).no_loss
    assert paired_equivalence([-0.5] * 9, margin=0.02).p_loss == 1.0
    assert paired_equivalence([0.0], margin=0.9).p_loss == pytest.approx(0.1)
    assert paired_equivalence([1.0] * 5, margin=1.5).equivalent, "no difference of two shares is larger than 1"


def test_equal_gains_of_scores_that_nothing_bounds_support_nothing() -> None:
    found = paired_equivalence([0.0] * 500, margin=0.5, share=False)
    assert (found.p_loss, found.p_gain, found.no_loss) == (1.0, 1.0, False)
    loss = paired_difference([0.3] * 500, [0.3] * 500, share=False)  # a likelihood, that happens to lie below 1
    assert math.isinf(loss.low) and math.isinf(loss.high)


def test_an_unpaired_statement_agrees_with_its_interval() -> None:
    for a, b in [(0.52, 0.5), (0.49, 0.5), (0.45, 0.5)]:
        gain = unpaired_difference(wilson_interval(a * 2000, 2000), wilson_interval(b * 1500, 1500))
        for margin in (0.01, 0.03, 0.06, 0.1):
            assert unpaired_equivalence(gain, margin=margin).no_loss == (gain.low >= -margin)
    unbounded = Difference(0.0, 0.0, 0.0, -math.inf, math.inf, 1, "score intervals")
    assert unpaired_equivalence(unbounded, margin=0.5).p_loss == 1.0


def test_a_loss_at_the_margin_is_called_harmless_no_more_often_than_promised() -> None:
    rng = np.random.default_rng(9)
    wrong = [paired_equivalence(list(rng.normal(-0.02, 0.1, size=50)), margin=0.02).no_loss for _ in range(2000)]
    assert 0.015 <= np.mean(wrong) <= 0.036  # 2.5 %, three standard errors


def test_a_margin_is_above_zero() -> None:
    for margin in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(UserMistakeError, match="margin"):
            paired_equivalence([0.1, 0.2], margin=margin)
    with pytest.raises(DataError, match="no problems"):
        paired_equivalence([], margin=0.1)


def test_holm_by_hand() -> None:
    # sorted 0.005 x4, 0.01 x3, 0.03 x2, 0.04 x1 -> 0.02, 0.03, 0.06, and never below the one before: 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_keeps_the_chance_of_any_false_finding() -> None:
    rng = np.random.default_rng(4)
    p = rng.uniform(size=(2000, 5))
    assert 0.035 <= np.mean([min(holm(list(row))) < 0.05 for row in p]) <= 0.065


def test_mcnemar_by_hand() -> None:
    # 3 of 4 decisive for the first: 2 * (4 + 1) / 16 = 0.625
    found = mcnemar([True] * 5 + [False] * 3, [True, True, False, False, False, True, False, False])
    assert (found.both, found.only_a, found.only_b, found.neither) == (2, 3, 1, 2)
    assert found.p_value == pytest.approx(0.625)
    with pytest.raises(DataError):
        mcnemar([True], [])
