"""What one model got on one suite: a score a problem, and what has none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy.evaluation.statistics import Estimate, clustered_interval, mean_interval, wilson_interval
from understudy.evaluation.suites import Better, SuiteResult
from understudy.rollouts import FinishReason


@dataclass(frozen=True)
class Marks:
    """The scores of one model on one suite.

    Args:
        suite: its name. source: the file they come from. better: which direction is better.
        scores: of each graded problem. ungraded: problems that were answered and not graded.
        unanswered: problems whose every attempt failed to get an answer; for a pairing they are missing.
        single: whether every problem has one yes-or-no answer. about: how it was asked, as far as the file says.
    """

    suite: str
    source: Path
    better: Better
    scores: Mapping[str, float]
    ungraded: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    single: bool = False
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def known(self) -> set[str]:
        """Every problem that was answered, graded or not."""
        return {*self.scores, *self.ungraded}

    @property
    def every(self) -> tuple[str, ...]:
        """Every problem that was put, answered or not."""
        return (*self.scores, *self.ungraded, *self.unanswered)

    @property
    def share(self) -> bool:
        """Whether every score lies in [0, 1], higher being better."""
        return self.better == "higher" and all(0 <= score <= 1 for score in self.scores.values())


def marks_of(result: SuiteResult, source: Path) -> Marks:
    """The marks in a suite's result; a problem whose every attempt failed to get an answer has none."""
    attempts = Counter(sample.problem for sample in result.samples)
    answered = {sample.problem for sample in result.samples if sample.finish_reason is not FinishReason.FAILED}
    return Marks(
        suite=result.name,
        source=source,
        better=result.better,
        scores={problem: score for problem, score in result.scores.items() if problem in answered},
        unanswered=tuple(problem for problem in result.scores if problem not in answered),
        single=max(attempts.values(), default=0) == 1 and all(sample.correct is not None for sample in result.samples),
        about=result.about,
    )


def estimate_of(scores: Sequence[float], *, single: bool, share: bool, confidence: float) -> Estimate:
    """The mean of one model's scores with its own interval: Wilson's, clustered by problem, or Student's t.

    Args:
        single: each score is one yes-or-no answer. share: they lie in [0, 1].
    """
    if single:
        return wilson_interval(math.fsum(scores), len(scores), confidence=confidence)
    interval = clustered_interval if share else mean_interval
    return interval(scores, confidence=confidence)
