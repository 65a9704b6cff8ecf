"""Intervals and tests: what may be said from so many problems, and no more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from understudy.errors import DataError, UserMistakeError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its interval.

    Args:
        mean: of the per-problem scores. low, high: bounds of the interval; infinite when nothing bounds it.
        n: number of problems, never of samples.
    """

    mean: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """The record as JSON; an infinite bound becomes null."""
        return {
            "mean": self.mean,
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "n": self.n,
        }


@dataclass(frozen=True)
class Paired:
    """One model against another on the same problems.

    Args:
        wins, ties, losses: problems on which the first did better, equally, worse.
        win_rate: wins / n. margin: (wins - losses) / n. margin_low, margin_high: its interval.
        p_value: two-sided exact sign test on the decisive pairs.
    """

    wins: int
    ties: int
    losses: int
    win_rate: float
    margin: float
    margin_low: float
    margin_high: float
    p_value: float

    def to_json(self) -> dict[str, float | int]:
        """The record as JSON."""
        return asdict(self)


def wilson_interval(successes: float, n: int, *, confidence: float = CONFIDENCE) -> Estimate:
    """Wilson's interval of a proportion; use it with one yes-or-no sample a problem.

    >>> e = wilson_interval(8, 10)
    >>> round(e.low, 3), round(e.high, 3)
    (0.49, 0.943)

    Args:
        successes: from 0 to ``n``; a fraction where it is a sum of per-problem means. n: problems, at least 1.
    Raises:
        DataError: ``n`` is 0, or ``successes`` lies outside 0..n.
    Source: Wilson, J. Am. Stat. Assoc. 22 (1927).
    """
    _require(n)
    if not 0 <= successes <= n:
        raise DataError("more successes than problems", got=successes, expected=f"0 to {n}")
    z = _normal_quantile(confidence)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Estimate(share, low, high, n)


def clustered_interval(means: Sequence[float], *, confidence: float = CONFIDENCE) -> Estimate:
    """The interval of avg@k, clustered by problem: sd of the per-problem means / sqrt(n), Student's t, cut to [0, 1].

    Several samples of one problem are not several problems: n counts problems. Where the means do not vary (a single
    problem, or all equal) the sd says nothing, and Wilson's interval for n yes-or-no problems stands in; it is
    conservative, because no score in [0, 1] varies more than a yes-or-no score of the same mean.

    Args:
        means: [n] share of correct samples of each problem, in [0, 1].
    Raises:
        DataError: there are no problems, or a mean lies outside [0, 1].
    """
    _require(len(means))
    if min(means) < 0 or max(means) > 1:
        raise DataError("a share of correct samples", got=(min(means), max(means)), expected="within 0 and 1")
    if is_constant(means):
        return wilson_interval(math.fsum(means), len(means), confidence=confidence)
    estimate = mean_interval(means, confidence=confidence)
    return Estimate(estimate.mean, max(0.0, estimate.low), min(1.0, estimate.high), estimate.n)


def is_constant(values: Sequence[float] | np.ndarray) -> bool:
    """Whether all values are equal but for rounding."""
    return bool(np.ptp(values) <= 1e-12)


def mean_interval(scores: Sequence[float], *, confidence: float = CONFIDENCE) -> Estimate:
    """The interval of the mean of real scores, one a problem: sd / sqrt(n), Student's t; infinite for one problem.

    Raises:
        DataError: there are no problems, or a score is NaN or infinite.
    """
    _require(len(scores))
    values = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataError("a score is not a finite number", got=values[~np.isfinite(values)][0])
    n, mean = len(values), float(values.mean())
    if n == 1:
        return Estimate(mean, -math.inf, math.inf, 1)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return Estimate(mean, mean - half, mean + half, n)


def sign_test(wins: int, losses: int) -> float:
    """The two-sided exact sign test: chance of a split at least this uneven when both sides are equally likely.

    Ties take no part; without a decisive pair the answer is 1. With one yes-or-no sample a problem this is the exact
    McNemar test.

    >>> sign_test(5, 0)
    0.0625
    """
    if wins + losses == 0:
        return 1.0
    return float(stats.binomtest(wins, wins + losses, 0.5).pvalue)


def equal_differences(value: float, n: int, *, chance: float) -> tuple[float, float]:
    """Bounds of the mean of differences in [-1, 1] of which n independent ones were all ``value``.

    A share u of problems may differ otherwise and yet never have been met: (1 - u)^n >= ``chance`` allows
    u up to 1 - chance^(1/n), and at worst those lie at -1 or at 1.

    >>> low, high = equal_differences(0.0, 30, chance=0.025)
    >>> round(low, 3), round(high, 3)
    (-0.116, 0.116)
    """
    unseen = 1 - chance ** (1 / n)
    return value - unseen * (1 + value), value + unseen * (1 - value)


def paired(wins: int, ties: int, losses: int, *, confidence: float = CONFIDENCE) -> Paired:
    """The comparison of two models from its counts; SE of the margin m = sqrt((W + L) / n - m^2) / sqrt(n), normal.

    Where every problem went the same way that error is 0, which n problems do not show: the interval then is that of
    ``equal_differences``.

    >>> p = paired(123, 20, 77)
    >>> round(p.margin, 3), round(p.margin_low, 3), round(p.margin_high, 3), round(p.p_value, 5)
    (0.209, 0.086, 0.332, 0.0014)

    Raises:
        DataError: a count is negative or all are 0.
    """
    if min(wins, ties, losses) < 0:
        raise DataError("a count of problems is negative", got=(wins, ties, losses))
    n = wins + ties + losses
    _require(n)
    margin = (wins - losses) / n
    half = _normal_quantile(confidence) * math.sqrt(max(0.0, (wins + losses) / n - margin**2) / n)
    low, high = margin - half, margin + half
    if n in (wins, ties, losses):
        low, high = equal_differences(margin, n, chance=(1 - confidence) / 2)
    return Paired(
        wins=wins,
        ties=ties,
        losses=losses,
        win_rate=wins / n,
        margin=margin,
        margin_low=max(-1.0, low),
        margin_high=min(1.0, high),
        p_value=sign_test(wins, losses),
    )


def p_text(p_value: float) -> str:
    """A p-value with its letter; one that is too small for a number is not 0.

    >>> p_text(0.00140), p_text(0.0)
    ('p = 0.0014', 'p < 1e-300')
    """
    return f"p = {p_value:.2g}" if p_value > 0 else "p < 1e-300"


def _require(n: int) -> None:
    if n < 1:
        raise DataError("there are no problems to average", expected="at least 1")


def _normal_quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise UserMistakeError("confidence", got=confidence, expected="between 0 and 1")
    return float(stats.norm.ppf((1 + confidence) / 2))
