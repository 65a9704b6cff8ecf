"""No loss larger than so much: two one-sided tests, because "no difference was found" proves nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from understudy.errors import DataError, UserMistakeError
from understudy.evaluation.differences import Difference
from understudy.evaluation.statistics import CONFIDENCE, is_constant, p_text


@dataclass(frozen=True)
class Equivalence:
    """The two one-sided tests of a gain (positive is better) against a margin.

    Args:
        margin: the largest loss, and gain, that would not matter; in the units of the score.
        p_loss: of "the loss is ``margin`` or more"; small means no such loss.
        p_gain: of "the gain is ``margin`` or more".
        level: each test's, (1 - confidence) / 2, so that it agrees with the two-sided interval beside it.
    """

    margin: float
    p_loss: float
    p_gain: float
    level: float

    @property
    def no_loss(self) -> bool:
        """Whether the data support "no loss larger than the margin"."""
        return self.p_loss <= self.level

    @property
    def equivalent(self) -> bool:
        """Whether the data support "neither a loss nor a gain larger than the margin"."""
        return max(self.p_loss, self.p_gain) <= self.level

    @property
    def statement(self) -> str:
        """What may be said.

        >>> Equivalence(0.02, p_loss=0.3, p_gain=0.001, level=0.025).statement
        'The data do not support "no loss larger than 0.02" (p = 0.3).'
        """
        words = "support" if self.no_loss else "do not support"
        return f'The data {words} "no loss larger than {self.margin:g}" ({p_text(self.p_loss)}).'

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        return {
            "margin": self.margin,
            "p_loss": self.p_loss,
            "p_gain": self.p_gain,
            "level": self.level,
            "no_loss": self.no_loss,
            "equivalent": self.equivalent,
            "statement": self.statement,
        }


def paired_equivalence(
    gains: Sequence[float], *, margin: float, share: bool = True, confidence: float = CONFIDENCE
) -> Equivalence:
    """Two one-sided t tests on the gains of each problem.

    Where all gains are equal, t says nothing; the chance that problems which differ otherwise were never met stands in,
    as in ``equal_differences``, for scores in [0, 1]. Nothing bounds others, and nothing is supported.

    Args:
        gains: [n] score of the model in question minus the other's, turned so that positive is better.
        share: whether scores are bound to [0, 1].
    Raises:
        DataError: no problems. UserMistakeError: ``margin`` is not above 0.
    Source: Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987).
    """
    _check(margin)
    values = np.asarray(gains, dtype=np.float64)
    if not len(values):
        raise DataError("there are no problems to compare", expected="at least 1")
    if is_constant(values):
        p_loss, p_gain = (_unseen(sign * float(values[0]), margin, len(values)) if share else 1.0 for sign in (1, -1))
    else:
        p_loss = float(stats.ttest_1samp(values, -margin, alternative="greater").pvalue)
        p_gain = float(stats.ttest_1samp(values, margin, alternative="less").pvalue)
    return Equivalence(margin, p_loss, p_gain, (1 - confidence) / 2)


def _unseen(value: float, margin: float, n: int) -> float:
    """Chance of n equal gains where enough others hide for the mean to be -margin."""
    if abs(value) > 1 or value <= -margin:
        return 1.0
    if margin > 1:
        return 0.0  # no mean of differences in [-1, 1] is that low
    return float(max(0.0, 1 - (value + margin) / (1 + value)) ** n)


def unpaired_equivalence(gain: Difference, *, margin: float, confidence: float = CONFIDENCE) -> Equivalence:
    """Two one-sided normal tests whose errors are those of the interval's halves; they agree with the interval.

    Args:
        gain: first minus second, positive is better, at the same ``confidence``.
    """
    _check(margin)
    z = float(stats.norm.ppf((1 + confidence) / 2))
    p_loss = _tail(gain.mean + margin, (gain.mean - gain.low) / z)
    p_gain = _tail(margin - gain.mean, (gain.high - gain.mean) / z)
    return Equivalence(margin, p_loss, p_gain, (1 - confidence) / 2)


def _tail(distance: float, error: float) -> float:
    if not math.isfinite(error):
        return 1.0
    return float(stats.norm.sf(distance / error)) if error else float(distance <= 0)


def _check(margin: float) -> None:
    if not (math.isfinite(margin) and margin > 0):
        raise UserMistakeError("the margin of an equivalence test", got=margin, expected="above 0, such as 0.02")
