"""The account of a grading, ``grading.json``: what was decided, what was not and why, who agreed, what it cost."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from understudy.evaluation.deliverables.checks import summed
from understudy.evaluation.grading.agreement import agreement
from understudy.evaluation.grading.asking import Grader
from understudy.evaluation.grading.judged import Judged
from understudy.evaluation.grading.prompts import VERSION
from understudy.evaluation.grading.settings import Panel
from understudy.evaluation.grading.showing import HandedIn
from understudy.evaluation.statistics import clustered_interval


@dataclass(frozen=True)
class Grading:
    """A run's results after grading.

    Args:
        judged: the tasks that have a rubric, in order. graders: as they ended. unreadable: files of each task that
            could not be read. checks: of every task.
        without_rubric: tasks of the results that have none. missing: tasks of the rubrics that the results lack.
        failed: tasks whose attempt met an error; they have no score.
        num_resumed: (task, grader) pairs whose votes were there already.
    """

    judged: tuple[Judged, ...]
    graders: tuple[Grader, ...]
    unreadable: Mapping[str, Sequence[HandedIn]]
    checks: Mapping[str, Mapping[str, float]]
    without_rubric: tuple[str, ...]
    missing: tuple[str, ...]
    failed: tuple[str, ...]
    num_resumed: int


def report_of(grading: Grading, panel: Panel) -> dict[str, object]:
    """The content of ``grading.json``; nothing of it is a key or a secret."""
    tasks = grading.judged
    scores = [task.score.score for task in tasks if task.score.score is not None]
    rows = [[vote.met for vote in row] for task in tasks for row in task.votes]
    met = Counter(verdict for task in tasks for verdict in task.met)
    unreadable = [(name, file) for name, files in grading.unreadable.items() for file in files]
    graders = [_grader(grader, tasks) for grader in grading.graders]
    return {
        "kind": "grading",
        "prompt_version": VERSION,
        "num_tasks": len(tasks),
        "num_scored": len(scores),
        "score": clustered_interval(scores).to_json() if scores else None,
        "score_if_ungraded_counted_against": _mean([task.score.low for task in tasks]),
        "score_if_ungraded_counted_for": _mean([task.score.high for task in tasks]),
        "tasks_without_score": [task.task_id for task in tasks if task.score.score is None],
        "tasks_without_rubric": list(grading.without_rubric),
        "tasks_missing_from_results": list(grading.missing),
        "tasks_with_an_error": list(grading.failed),
        "tasks_scored_0_unasked": {task.task_id: task.by_rule for task in tasks if task.by_rule},
        "criteria": {"met": met[True], "not_met": met[False], "ungraded": met[None]},
        "agreement": asdict(agreement(rows)),
        "graders": graders,
        "cost": math.fsum(float(str(grader["cost"])) for grader in graders),
        "num_resumed": grading.num_resumed,
        "unreadable_files": [
            {"task_id": name, "file": file.name, "problem": file.problem} for name, file in unreadable
        ],
        "checks": summed(grading.checks.values()),
        "notices": [*panel.notices(), *_notices(grading, tasks)],
    }


def _grader(grader: Grader, tasks: Sequence[Judged]) -> dict[str, object]:
    """One grader's account; tokens and cost are of all its votes, those of earlier runs included."""
    settings = grader.settings
    marked = [task.marked[settings.name] for task in tasks if settings.name in task.marked]
    votes = [vote for one in marked for vote in one.votes]
    tokens_in, tokens_out = sum(one.input_tokens for one in marked), sum(one.output_tokens for one in marked)
    price = settings.price
    return {
        "name": settings.name,
        "model": settings.model,
        "url": settings.url,
        "down": grader.down,
        "num_votes": sum(vote.met is not None for vote in votes),
        "met_share": _mean([float(vote.met) for vote in votes if vote.met is not None]),
        "num_ungraded": sum(vote.met is None for vote in votes),
        "ungraded": dict(Counter(vote.reason for vote in votes if vote.reason)),
        "num_characters_cut": sum(one.num_cut for one in marked),
        "num_requests": grader.spent.requests,
        "num_retries": grader.spent.retries,
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "cost": (tokens_in * price.input_per_million + tokens_out * price.output_per_million) / 1e6,
    }


def _notices(grading: Grading, tasks: Sequence[Judged]) -> list[str]:
    said = [f"Grader {one.settings.name} was given up: {one.down}" for one in grading.graders if one.down]
    silent = [
        one.settings.name
        for one in grading.graders
        if any(one.settings.name in task.marked for task in tasks)
        and all(vote.met is None for task in tasks for vote in _votes(task, one.settings.name))
    ]
    said += [f"Grader {name} gave no vote at all; majorities need the agreement of the others." for name in silent]
    if grading.missing:
        said.append(f"{len(grading.missing)} tasks of the rubrics are missing from the results and have no score.")
    return said


def _votes(task: Judged, name: str) -> Sequence:
    return task.marked[name].votes if name in task.marked else ()


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
