"""What one model got on one suite: a score a problem, and what has none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.evaluation.suites import Better, SuiteResult


@dataclass(frozen=True)
class Marks:
    """The scores of one model on one suite.

    Args:
        suite: its name. source: the file they come from. better: which direction is better.
        scores: of each graded problem. ungraded: problems that were answered and not graded.
        single: whether every problem has one yes-or-no answer.
    """

    suite: str
    source: Path
    better: Better
    scores: Mapping[str, float]
    ungraded: tuple[str, ...] = ()
    single: bool = False

    @property
    def known(self) -> set[str]:
        """Every problem that was answered, graded or not."""
        return {*self.scores, *self.ungraded}

    @property
    def share(self) -> bool:
        """Whether every score lies in [0, 1], higher being better."""
        return self.better == "higher" and all(0 <= score <= 1 for score in self.scores.values())


def marks_of(result: SuiteResult, source: Path) -> Marks:
    """The marks in a suite's result."""
    attempts = Counter(sample.problem for sample in result.samples)
    return Marks(
        suite=result.name,
        source=source,
        better=result.better,
        scores=result.scores,
        single=max(attempts.values(), default=0) == 1 and all(sample.correct is not None for sample in result.samples),
    )
