"""What is kept of a run over office tasks: one folder a task, and ``results.json`` over all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from understudy.errors import DataError
from understudy.evaluation.programs import Verdict
from understudy.evaluation.suites import write_json
from understudy.tasks.office import OfficeTask

FILE = "results.json"
_OF_TASK = "result.json"


@dataclass(frozen=True)
class TaskResult:
    """One attempt at one task.

    Args:
        task_id, prompt: of the task. finished: the agent said so, and that was accepted. why: how it ended.
        deliverables: files handed in, relative to the folder of the results. num_turns: replies.
        num_tokens: that the model wrote. num_prompt_tokens: that it read, each turn anew.
        max_turns: as many as there might have been. seconds: wall clock. cost: by the price table; None without one.
        error: why there was no attempt, or none that counts; None where nothing went wrong.
        score: 0 to 1; None while ungraded. rubric: id, criterion, points, met, votes and why. checks: of graders.
        scoring: how the rubric becomes the score. figures: of the attempt, such as calls and refused paths.
    """

    task_id: str
    prompt: str
    finished: bool = False
    why: str = ""
    deliverables: tuple[str, ...] = ()
    num_turns: int = 0
    num_tokens: int = 0
    num_prompt_tokens: int = 0
    max_turns: int = 0
    seconds: float = 0.0
    cost: float | None = None
    error: str | None = None
    score: float | None = None
    rubric: tuple[Mapping[str, object], ...] = ()
    checks: Mapping[str, float] = field(default_factory=dict)
    scoring: str = "points"
    figures: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_efficient(self) -> bool:
        """Whether it finished with something handed in within half of its turns: our definition."""
        return bool(self.deliverables) and 2 * self.num_turns <= self.max_turns


@dataclass(frozen=True)
class Results:
    """A run over office tasks.

    Args:
        name: of the run. model: who was asked. suite: where the tasks come from. tasks: attempts, in order.
        missing: tasks without an attempt, and why. settings: with which it was run.
        figures: rates, turns, tokens and cost over all attempts; not the score, which graders may still change.
    """

    name: str
    model: str
    suite: str
    tasks: tuple[TaskResult, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """The form of ``results.json``."""
        return {"kind": "office", **asdict(self)}


def rubric_lines(task: OfficeTask, verdicts: Sequence[Verdict] | None) -> tuple[Mapping[str, object], ...]:
    """The rubric as it is kept, with programs' verdicts as single votes; without verdicts, ungraded."""
    said = [Verdict(line.id, None) for line in task.rubric] if verdicts is None else verdicts
    return tuple(
        {
            "id": line.id,
            "criterion": line.criterion,
            "points": line.points,
            "met": one.met,
            "votes": [] if one.met is None else [one.met],
            "why": one.why,
        }
        for line, one in zip(task.rubric, said, strict=True)
    )


def keep(result: TaskResult, folder: Path) -> None:
    """Write one task's result into its folder; from then on it is not asked again."""
    write_json(asdict(result), folder / result.task_id / _OF_TASK)


def kept(task_id: str, folder: Path) -> TaskResult | None:
    """The result of a task that is already there; None where there is none."""
    path = folder / task_id / _OF_TASK
    return _task_result(_read(path), path) if path.is_file() else None


def write_results(results: Results, folder: Path) -> None:
    """Write ``results.json``, beside first and then renamed."""
    write_json(results.to_json(), folder / FILE)


def read_results(folder: Path) -> Results:
    """What ``write_results`` wrote.

    Raises:
        DataError: it is missing, or no result over office tasks.
    """
    path = folder / FILE if folder.is_dir() else folder
    record = _read(path)
    try:
        if record["kind"] != "office":
            raise DataError(f"{path} holds no results over office tasks", got=repr(record["kind"]))
        tasks = tuple(_task_result(one, path) for one in record["tasks"])
        rest = {name: record[name] for name in ("missing", "settings", "figures") if name in record}
        return Results(record["name"], record["model"], record["suite"], tasks, **rest)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} holds no results over office tasks", got=str(error)) from error


def _task_result(record: Mapping[str, Any], path: Path) -> TaskResult:
    known = {name: value for name, value in record.items() if name in TaskResult.__dataclass_fields__}
    try:
        known |= {name: tuple(known[name]) for name in ("deliverables", "rubric") if name in known}
        return TaskResult(**known)
    except TypeError as error:
        raise DataError(f"{path} holds no result of an office task", got=str(error)) from error


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read", got=str(error)) from error
