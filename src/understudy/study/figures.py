"""What a study found: rates and scores with intervals, one model against the other, and what was lost elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.comparing import Comparison, Terms, compare_results
from understudy.comparing.office_results import OfficeTask, read_office
from understudy.environments.tiny_office import MAX_TURNS
from understudy.evaluation.comparison import TIE
from understudy.evaluation.deliverables.checks import summed
from understudy.evaluation.statistics import Estimate, Paired, clustered_interval, paired, wilson_interval
from understudy.evaluation.suites import read_suite_result
from understudy.study.settings import StudySettings
from understudy.testbed.office_quiz import QUIZZES

SCORE, DELIVERABLE, EFFICIENCY = "Mean rubric score", "Any-deliverable rate", "Efficiency rate"

COUNTS = {
    "Files": "files",
    "Live formulas": "live_formulas",
    "Error cells": "error_cells",
    "Highlights": "highlights",
    "Dates": "dates",
}
"""What is counted in the deliverables without a grader, by the name that ``checks_of`` gives it."""


@dataclass(frozen=True)
class Figures:
    """What a study found.

    Args:
        measures: by title, then by model (``teacher``, ``base``, ``distilled``). paired: by title, distilled against
            base, task by task. counts: by title, then by model, over all deliverables.
        office: distilled against base in full.
        regression: the same on the quizzes. quizzes: by name, then by model.
    """

    measures: Mapping[str, Mapping[str, Estimate]]
    paired: Mapping[str, Paired]
    counts: Mapping[str, Mapping[str, int]]
    office: Comparison
    regression: Comparison
    quizzes: Mapping[str, Mapping[str, Estimate]]

    @property
    def improved(self) -> bool:
        """Whether the distilled student's score is better by intervals that do not touch."""
        return self.measures[SCORE]["distilled"].low > self.measures[SCORE]["base"].high

    def to_json(self) -> dict[str, object]:
        """The content of the study's ``summary.json``."""
        return {
            "improved": self.improved,
            "measures": _json(self.measures),
            "paired": {title: one.to_json() for title, one in self.paired.items()},
            "counts": {title: dict(each) for title, each in self.counts.items()},
            "office": self.office.to_json(),
            "regression": {"estimates": _json(self.quizzes), **self.regression.to_json()},
        }


def figures_of(out: Path, settings: StudySettings) -> Figures:
    """Read the results of a study whose stages are all done."""
    results = {name: read_office(out / name) for name in ("teacher", "base", "distilled")}
    values = {
        title: {name: [measure(task) for task in one.tasks] for name, one in results.items()}
        for title, measure in _MEASURES.items()
    }
    totals = {name: summed(task.checks for task in one.tasks) for name, one in results.items()}
    folders = {name: out / "regression" / name for name in ("base", "distilled")}
    quizzes = {
        quiz: {name: read_suite_result(folder / f"{quiz}.json").estimate for name, folder in folders.items()}
        for quiz in QUIZZES
    }
    return Figures(
        measures={
            title: {name: _estimate(title, column) for name, column in each.items()} for title, each in values.items()
        },
        paired={title: _paired(each["distilled"], each["base"]) for title, each in values.items()},
        counts={title: {name: int(totals[name].get(key, 0)) for name in totals} for title, key in COUNTS.items()},
        office=compare_results(out / "distilled", out / "base", Terms(seed=settings.seed)),
        regression=compare_results(
            folders["distilled"], folders["base"], Terms(seed=settings.seed, margin=settings.margin)
        ),
        quizzes=quizzes,
    )


def is_efficient(task: OfficeTask) -> bool:
    """Whether it ended with a deliverable within half of the turns: our reading of a rate without published terms."""
    return bool(task.deliverables) and 2 * task.num_turns <= MAX_TURNS


_MEASURES: Mapping[str, Callable[[OfficeTask], float]] = {
    SCORE: lambda task: task.score or 0.0,
    DELIVERABLE: lambda task: float(bool(task.deliverables)),
    EFFICIENCY: lambda task: float(is_efficient(task)),
}


def _estimate(title: str, values: Sequence[float]) -> Estimate:
    """A score's interval is that of a mean; a rate of yes and no has Wilson's."""
    return clustered_interval(values) if title == SCORE else wilson_interval(sum(values), len(values))


def _paired(first: Sequence[float], second: Sequence[float]) -> Paired:
    wins, losses = (
        sum(a - b > TIE for a, b in zip(*sides, strict=True)) for sides in ((first, second), (second, first))
    )
    return paired(wins, len(first) - wins - losses, losses)


def _json(estimates: Mapping[str, Mapping[str, Estimate]]) -> dict[str, object]:
    return {title: {name: one.to_json() for name, one in each.items()} for title, each in estimates.items()}
