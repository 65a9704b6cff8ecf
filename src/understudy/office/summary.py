"""What a run over office tasks comes to, in figures."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from understudy.evaluation.statistics import Estimate, clustered_interval, wilson_interval
from understudy.office.results import Results, TaskResult

_SCORED = ("score", "num_ungraded")


@dataclass(frozen=True)
class Summary:
    """Figures of a run.

    Args:
        num_tasks: attempted. num_missing: not. num_errors: attempts that something else than the agent ended.
        num_ungraded: without a score. score: mean of the graded, with its interval; None where none is graded.
        any_deliverable_rate: share of attempts with at least one file handed in.
        efficiency_rate: share that finished with a deliverable within half of the turns: our definition, there is no
            public one. finished_rate: share that finished.
        mean_turns, mean_tokens, mean_prompt_tokens: of an attempt. cost: of all; None without a price table.
    """

    num_tasks: int
    num_missing: int
    num_errors: int
    num_ungraded: int
    score: Estimate | None
    any_deliverable_rate: float
    efficiency_rate: float
    finished_rate: float
    mean_turns: float
    mean_tokens: float
    mean_prompt_tokens: float
    cost: float | None

    def to_json(self) -> dict[str, object]:
        """The figures, the score with its interval."""
        return {**asdict(self), "score": None if self.score is None else self.score.to_json()}


def with_figures(results: Results) -> Results:
    """The results with their figures, as they are kept."""
    figures = {name: value for name, value in summary_of(results).to_json().items() if name not in _SCORED}
    return replace(results, figures=figures)


def summary_of(results: Results) -> Summary:
    """The figures of these results; an attempt that met an error counts in every rate, as one without a deliverable."""
    tasks = results.tasks
    scores = [task.score for task in tasks if task.score is not None]
    costs = [task.cost for task in tasks if task.cost is not None]
    return Summary(
        num_tasks=len(tasks),
        num_missing=len(results.missing),
        num_errors=sum(task.error is not None for task in tasks),
        num_ungraded=len(tasks) - len(scores),
        score=_estimate(scores, tasks),
        any_deliverable_rate=_mean(bool(task.deliverables) for task in tasks),
        efficiency_rate=_mean(task.is_efficient for task in tasks),
        finished_rate=_mean(task.finished for task in tasks),
        mean_turns=_mean(task.num_turns for task in tasks),
        mean_tokens=_mean(task.num_tokens for task in tasks),
        mean_prompt_tokens=_mean(task.num_prompt_tokens for task in tasks),
        cost=math.fsum(costs) if costs else None,
    )


def _estimate(scores: list[float], tasks: Iterable[TaskResult]) -> Estimate | None:
    if not scores:
        return None
    if all(task.scoring == "all" for task in tasks):
        return wilson_interval(math.fsum(scores), len(scores))
    return clustered_interval(scores)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found) if found else 0.0
