"""``summary.json``: the figures of a run, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.evaluation.comparison import compare
from understudy.evaluation.statistics import Estimate, Paired
from understudy.evaluation.suites import Better, SuiteResult, write_json


@dataclass(frozen=True)
class SuiteSummary:
    """One suite's figures; what was not measured is None and has no key in the file.

    Args:
        better: which direction is better. teacher, before, after: estimates. paired: after against before.
    """

    better: Better
    teacher: Estimate | None = None
    before: Estimate | None = None
    after: Estimate | None = None
    paired: Paired | None = None

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        parts = {"teacher": self.teacher, "before": self.before, "after": self.after, "paired": self.paired}
        return {"better": self.better, **{key: part.to_json() for key, part in parts.items() if part is not None}}


def suite_summary(
    *, after: SuiteResult, before: SuiteResult | None = None, teacher: SuiteResult | None = None
) -> SuiteSummary:
    """The figures of one suite; after and before are paired by problem.

    Raises:
        DataError: before and after are not of the same problems.
    """
    return SuiteSummary(
        better=after.better,
        teacher=teacher.estimate if teacher else None,
        before=before.estimate if before else None,
        after=after.estimate,
        paired=compare(after, before) if before else None,
    )


def summary(
    *, name: str, method: str, seed: int, steps: int, seconds: float, suites: Mapping[str, SuiteSummary]
) -> dict[str, object]:
    """The content of ``summary.json``.

    Args:
        name: of the run. method: of its objective. steps: taken. seconds: wall clock of the whole run.
    """
    return {
        "name": name,
        "method": method,
        "seed": seed,
        "steps": steps,
        "seconds": seconds,
        "suites": {suite: figures.to_json() for suite, figures in suites.items()},
    }


def write_summary(content: Mapping[str, object], path: Path) -> None:
    """Write the summary atomically."""
    write_json(content, path)
