"""``summary.json``: the figures of a run, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from understudy.evaluation.comparison import compare
from understudy.evaluation.statistics import Estimate, Paired
from understudy.evaluation.suites import Better, SuiteResult, write_json


@dataclass(frozen=True)
class SuiteSummary:
    """One suite's figures; what was not measured is None and has no key in the file.

    Args:
        better: which direction is better. teacher, before, after: estimates. paired: after against before.
        lengths: mean turns and tokens of an attempt, by who made it: ``teacher``, ``before``, ``after``.
    """

    better: Better
    teacher: Estimate | None = None
    before: Estimate | None = None
    after: Estimate | None = None
    paired: Paired | None = None
    lengths: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        parts = {"teacher": self.teacher, "before": self.before, "after": self.after, "paired": self.paired}
        known = {key: part.to_json() for key, part in parts.items() if part is not None}
        lengths = {who: dict(figures) for who, figures in self.lengths.items() if figures}
        return {"better": self.better, **known, **({"lengths": lengths} if lengths else {})}


@dataclass(frozen=True)
class BestCheckpoint:
    """A run's best checkpoint.

    Args:
        step: steps done. chosen_on: the suite it is the best on, which flatters its score there. results: all suites'.
    """

    step: int
    chosen_on: str
    results: Mapping[str, SuiteResult]

    def to_json(self) -> dict[str, object]:
        """The record as JSON: estimates and lengths by suite."""
        suites = {
            name: {"better": one.better, **one.estimate.to_json(), **lengths_of(one)}
            for name, one in self.results.items()
        }
        return {"step": self.step, "chosen_on": self.chosen_on, "suites": suites}


def lengths_of(result: SuiteResult) -> dict[str, float]:
    """``mean_turns`` and ``mean_tokens`` of an attempt; nothing for suites in which the model wrote nothing."""
    turns = result.mean_turns
    return {} if turns is None else {"mean_turns": turns, "mean_tokens": result.mean_tokens}


def suite_summary(
    *, after: SuiteResult, before: SuiteResult | None = None, teacher: SuiteResult | None = None
) -> SuiteSummary:
    """The figures of one suite; after and before are paired by problem.

    Raises:
        DataError: before and after are not of the same problems.
    """
    known = {"teacher": teacher, "before": before, "after": after}
    return SuiteSummary(
        better=after.better,
        teacher=teacher.estimate if teacher else None,
        before=before.estimate if before else None,
        after=after.estimate,
        paired=compare(after, before) if before else None,
        lengths={who: lengths_of(one) for who, one in known.items() if one is not None},
    )


def summary(
    *,
    name: str,
    method: str,
    seed: int,
    steps: int,
    seconds: float,
    suites: Mapping[str, SuiteSummary],
    planned_steps: int | None = None,
    best: BestCheckpoint | None = None,
) -> dict[str, object]:
    """The content of ``summary.json``.

    Args:
        name: of the run. method: of its objective. steps: taken. seconds: wall clock of the whole run.
        planned_steps: told where fewer were taken. best: the best checkpoint, where one was chosen.
    """
    return {
        "name": name,
        "method": method,
        "seed": seed,
        "steps": steps,
        "seconds": seconds,
        "suites": {suite: figures.to_json() for suite, figures in suites.items()},
        **({"planned_steps": planned_steps} if planned_steps not in (None, steps) else {}),
        **({"best": best.to_json()} if best is not None else {}),
    }


def write_summary(content: Mapping[str, object], path: Path) -> None:
    """Write the summary atomically."""
    write_json(content, path)
