"""What several attempts at each problem say: pass@k, the majority's answer, and what another run would change."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.errors import DataError
from understudy.evaluation.differences import FEW
from understudy.evaluation.samples import SampleRecord
from understudy.evaluation.statistics import CONFIDENCE, Estimate, clustered_interval, is_constant

RESAMPLES = 2000
"""Resamples of the bootstrap; its own error in a bound is then below a twentieth of the interval."""

_CELLS = 2_000_000


@dataclass(frozen=True)
class Majority:
    """The majority's answer to each problem.

    Args:
        estimate: share of problems whose most frequent answer is right, with its interval over problems; a tie counts
            as the share of its answers that are right, which is what a fair coin would give.
        num_tied: problems with a tie. num_silent: problems with no answer that could be read; they count 0.
    """

    estimate: Estimate
    num_tied: int
    num_silent: int

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        return {**self.estimate.to_json(), "num_tied": self.num_tied, "num_silent": self.num_silent}


def pass_at(num_samples: int, num_correct: int, k: int) -> float:
    """Chance that at least one of k samples, drawn without replacement from these, is right: 1 - C(n-c,k) / C(n,k).

    >>> pass_at(4, 1, 2)
    0.5

    Raises:
        DataError: k is no number from 1 to n, or c none from 0 to n.
    Source: Chen et al., arXiv:2107.03374, eq. 1.
    """
    if not 1 <= k <= num_samples or not 0 <= num_correct <= num_samples:
        raise DataError("pass@k", got=f"n {num_samples}, c {num_correct}, k {k}", expected="1 <= k <= n, 0 <= c <= n")
    wrong = num_samples - num_correct
    return 1.0 - math.prod(max(0, wrong - place) / (num_samples - place) for place in range(k))


def pass_at_estimate(counts: Sequence[tuple[int, int]], k: int) -> Estimate:
    """pass@k with its interval.

    Args:
        counts: samples and right samples of each problem.
    """
    return bootstrap_interval([pass_at(samples, correct, k) for samples, correct in counts])


def bootstrap_interval(scores: Sequence[float], *, confidence: float = CONFIDENCE, seed: int = 0) -> Estimate:
    """The percentile interval of the mean over ``RESAMPLES`` resamples of whole problems.

    Below ``FEW`` problems, and where the scores do not vary, the bootstrap says too little, and ``clustered_interval``
    stands in.

    Args:
        scores: [n] one a problem, in [0, 1].
    Raises:
        DataError: there are no problems.
    """
    if len(scores) < FEW or is_constant(scores):
        return clustered_interval(scores, confidence=confidence)
    values = np.asarray(scores, dtype=np.float64)
    rng, chunk = np.random.default_rng(seed), max(1, _CELLS // len(values))
    means = [
        values[rng.integers(len(values), size=(min(chunk, RESAMPLES - start), len(values)))].mean(axis=1)
        for start in range(0, RESAMPLES, chunk)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def run_to_run_error(samples: Iterable[SampleRecord]) -> float | None:
    """Standard error of avg@k over runs of this model on these very problems: sqrt(sum of var_i / k_i) / n.

    It says nothing about other problems, and is no error of the score as a measure of the model. None where a problem
    has a single sample.
    """
    by_problem: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        by_problem[sample.problem].append(sample.score)
    if not by_problem or min(len(scores) for scores in by_problem.values()) < 2:
        return None
    variances = [float(np.var(scores, ddof=1)) / len(scores) for scores in by_problem.values()]
    return math.sqrt(math.fsum(variances)) / len(by_problem)


def majority(samples: Iterable[SampleRecord]) -> Majority:
    """The majority's answers; see ``Majority``.

    Answers that the verifier holds equal to the gold answer are one answer, others go by their spelling. An attempt
    without a readable answer does not vote.
    """
    by_problem: dict[str, list[SampleRecord]] = defaultdict(list)
    for sample in samples:
        by_problem[sample.problem].append(sample)
    tops = [_top(votes) for votes in by_problem.values()]
    scores = [sum(is_right for is_right, _ in top) / len(top) if top else 0.0 for top in tops]
    return Majority(clustered_interval(scores), sum(len(top) > 1 for top in tops), sum(not top for top in tops))


def _top(samples: Sequence[SampleRecord]) -> list[tuple[bool, str]]:
    """The most frequent answers of one problem: whether each is right, and its spelling where it is not."""
    votes = Counter((bool(one.correct), "" if one.correct else one.answer) for one in samples if one.answer is not None)
    most = max(votes.values(), default=0)
    return [(is_right, spelling) for (is_right, spelling), count in votes.items() if count == most]
