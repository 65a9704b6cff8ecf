"""Statistics of several attempts: by hand, by simulation, and against the enumeration of all draws."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from understudy.errors import DataError
from understudy.evaluation import SampleRecord, SuiteResult, clustered_interval
from understudy.evaluation.attempts import (
    bootstrap_interval,
    majority,
    pass_at,
    pass_at_estimate,
    run_to_run_error,
)
from understudy.rollouts import FinishReason


def sample(problem: str, *, correct: bool, answer: str | None = None) -> SampleRecord:
    return SampleRecord(
        problem, ("x",), float(correct), correct, FinishReason.STOP, 1, parsed=answer is not None, answer=answer
    )


def votes(*answers: str | None, gold: str = "7", problem: str = "p") -> list[SampleRecord]:
    return [sample(problem, correct=answer == gold, answer=answer) for answer in answers]


@pytest.mark.parametrize(("n", "c"), [(5, 0), (5, 2), (6, 3), (4, 4)])
def test_pass_at_k_is_the_share_of_draws_with_a_right_one(n: int, c: int) -> None:
    for k in range(1, n + 1):
        draws = list(combinations(range(n), k))
        share = sum(any(place < c for place in draw) for draw in draws) / len(draws)
        assert pass_at(n, c, k) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 0), (4, 1, 5), (4, 5, 1), (4, -1, 1)])
def test_pass_at_k_refuses_what_cannot_be(n: int, c: int, k: int) -> None:
    with pytest.raises(DataError, match="pass@k"):
        pass_at(n, c, k)


def test_the_majority_by_hand() -> None:
    assert majority(votes("7", "7", "3")).estimate.mean == 1.0
    assert majority(votes("3", "3", "7")).estimate.mean == 0.0
    tied = majority(votes("7", "3", "7", "3"))
    assert (tied.estimate.mean, tied.num_tied) == (0.5, 1)
    silent = majority([*votes(None, None), *votes("7", None, problem="q")])
    assert (silent.estimate.mean, silent.num_silent) == (0.5, 1)


def test_answers_that_equal_the_gold_answer_are_one_answer_whatever_their_spelling() -> None:
    halves = [sample("p", correct=True, answer=text) for text in ("1/2", "0.5")]
    wrong = [sample("p", correct=False, answer="2/3")]
    assert majority([*halves, *wrong]).num_tied == 0
    assert majority([*halves, *wrong, *wrong]).num_tied == 1


def test_the_run_to_run_error_by_hand() -> None:
    # p: 1, 0 has variance 1/2, over 2 samples 1/4; q: 1, 1 has none; sqrt(1/4) / 2 problems
    pairs = [("p", True), ("p", False), ("q", True), ("q", True)]
    assert run_to_run_error([sample(name, correct=right) for name, right in pairs]) == pytest.approx(0.25)
    assert run_to_run_error(votes("7")) is None


def test_the_run_to_run_error_is_the_spread_of_repeated_runs() -> None:
    rng = np.random.default_rng(0)
    chances = np.array([0.1, 0.5, 0.9, 0.99, 0.3])
    runs = rng.binomial(8, chances, size=(4000, 5))
    spread = (runs / 8).mean(axis=1).std()
    told = []
    for run in runs[:300]:
        pairs = [(str(place), attempt < right) for place, right in enumerate(run) for attempt in range(8)]
        told.append(run_to_run_error([sample(name, correct=bool(right)) for name, right in pairs]))
    assert np.sqrt(np.mean(np.square(told))) == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (2.0, 2.0), (1.0, 2.0), (4.0, 2.0)])
def test_the_interval_of_avg_at_k_covers_the_truth(a: float, b: float) -> None:
    """Models whose chance differs from problem to problem: the interval of 30 problems, 32 samples each.

    4,000 simulated models a case, so that the share that is covered is known to 0.7 points.
    """
    rng = np.random.default_rng(5)
    means = rng.binomial(32, rng.beta(a, b, size=(4000, 30))) / 32
    halves = stats.t.ppf(0.975, 29) * means.std(axis=1, ddof=1) / np.sqrt(30)
    covered = np.abs(means.mean(axis=1) - a / (a + b)) <= halves
    assert 0.93 <= covered.mean() <= 0.97
    for row, half in zip(means[:20], halves, strict=False):  # the vectorised interval is the package's
        estimate = clustered_interval(row.tolist())
        assert estimate.high == pytest.approx(min(1.0, row.mean() + half))
        assert estimate.low == pytest.approx(max(0.0, row.mean() - half))


def test_the_interval_of_few_problems_is_no_bootstrap() -> None:
    """pass@2 of models whose chances are uniform: 2/3 in truth, which the bootstrap of three problems holds in 74 %."""
    rng = np.random.default_rng(3)
    counts = rng.binomial(8, rng.random((400, 3)))
    held = [e.low <= 2 / 3 <= e.high for row in counts for e in [pass_at_estimate([(8, int(c)) for c in row], 2)]]
    assert np.mean(held) > 0.85


def test_the_bootstrap_agrees_with_the_normal_interval_where_both_hold() -> None:
    scores = np.random.default_rng(3).beta(2, 2, size=400).tolist()
    ours, normal = bootstrap_interval(scores), clustered_interval(scores)
    assert ours.mean == normal.mean
    assert ours.high - ours.low == pytest.approx(normal.high - normal.low, rel=0.1)
    assert bootstrap_interval([1.0] * 9).low < 1.0  # what does not vary still bounds nothing exactly
    rounded = clustered_interval([0.3, 0.1 + 0.2] * 15)
    assert rounded.high - rounded.low > 0.2, "nor does what varies by rounding"
    assert bootstrap_interval(scores) == bootstrap_interval(scores)


def test_a_result_tells_all_of_it() -> None:
    samples = [*votes("7", "7", "3", "7"), *votes("7", "3", "3", None, problem="q")]
    lost = SampleRecord("r", (), 0.0, False, FinishReason.FAILED, 0, parsed=False, error="HTTP 400: too long")
    figures = SuiteResult("s", "higher", (*samples, *([lost] * 4))).to_json()
    assert (figures["k"], figures["n"], figures["num_samples"]) == (4, 3, 12)
    assert figures["mean"] == pytest.approx((0.75 + 0.25 + 0) / 3)
    passes = figures["pass_at"]
    assert isinstance(passes, dict) and list(passes) == ["1", "2", "4"]
    assert passes["4"]["mean"] == pytest.approx(2 / 3)
    assert passes["2"]["mean"] == pytest.approx((1.0 + 0.5 + 0.0) / 3)  # 1 - C(3,2)/C(4,2) = 1/2
    assert figures["majority"]["mean"] == pytest.approx(1 / 3)  # type: ignore[index]
    assert (figures["num_failed"], figures["failed"]) == (1, {"r": "HTTP 400: too long"})
    assert figures["parse_failure_rate"] == pytest.approx(5 / 12)
