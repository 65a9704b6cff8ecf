"""The results of an office suite: a folder with ``results.json`` and what was handed in for each task."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from understudy.comparing.marks import Marks
from understudy.errors import DataError

RESULTS = "results.json"


@dataclass(frozen=True)
class RubricLine:
    """One criterion and what the graders said: met, not met, or None for ungraded; and why, where they told."""

    id: str
    criterion: str
    points: float
    met: bool | None
    votes: tuple[bool | None, ...]
    why: str = ""


@dataclass(frozen=True)
class OfficeTask:
    """One task as it was done.

    Args:
        deliverables: paths relative to the results' folder. score: 0 to 1; None where nothing graded it.
        checks: grader-free figures of the deliverables. error: what broke the attempt.
    """

    task_id: str
    prompt: str
    finished: bool
    deliverables: tuple[str, ...]
    num_turns: int
    num_tokens: int
    score: float | None
    rubric: tuple[RubricLine, ...]
    checks: Mapping[str, float]
    error: str | None


@dataclass(frozen=True)
class OfficeResults:
    """One model on one office suite; ``folder`` holds the deliverables, ``missing`` why tasks have no attempt."""

    folder: Path
    name: str
    model: str
    suite: str
    tasks: tuple[OfficeTask, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What to call the model."""
        return self.name or self.model or self.folder.resolve().name

    @cached_property
    def by_id(self) -> Mapping[str, OfficeTask]:
        """The tasks by their identifiers."""
        return {task.task_id: task for task in self.tasks}

    @property
    def marks(self) -> Marks:
        """The scores; a task without one is ungraded."""
        return Marks(
            suite=self.suite,
            source=self.folder / RESULTS,
            better="higher",
            scores={task.task_id: task.score for task in self.tasks if task.score is not None},
            ungraded=tuple(task.task_id for task in self.tasks if task.score is None),
            unanswered=tuple(name for name in self.missing if name not in self.by_id),
            about={"settings": self.settings},
        )


def is_office(path: Path) -> bool:
    """Whether a file says that it is an office result."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == "office"


def read_office(folder: Path) -> OfficeResults:
    """Read an office result.

    Raises:
        DataError: there is none, it is broken, or it has one task twice.
    """
    file = folder / RESULTS
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["kind"] != "office":
            raise ValueError(f"kind {content['kind']!r}")
        tasks = tuple(_task(entry) for entry in content["tasks"])
        results = OfficeResults(
            folder=folder,
            name=str(content.get("name") or ""),
            model=str(content.get("model") or ""),
            suite=str(content["suite"]),
            tasks=tasks,
            missing={str(name): str(why) for name, why in (content.get("missing") or {}).items()},
            settings=dict(content.get("settings") or {}),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{file} is not an office result",
            got=f"{type(error).__name__}: {error}",
            expected='{"kind": "office", "suite": ..., "tasks": [...]}',
        ) from error
    if len(results.by_id) < len(tasks):
        raise DataError(f"{file} has one task twice", got=_twice([task.task_id for task in tasks]))
    return results


def _task(entry: Mapping[str, Any]) -> OfficeTask:
    return OfficeTask(
        task_id=str(entry["task_id"]),
        prompt=str(entry.get("prompt") or ""),
        finished=bool(entry.get("finished")),
        deliverables=tuple(str(path) for path in entry.get("deliverables") or ()),
        num_turns=int(entry.get("num_turns") or 0),
        num_tokens=int(entry.get("num_tokens") or 0),
        score=_score(entry.get("score")),
        rubric=tuple(_line(line) for line in entry.get("rubric") or ()),
        checks={str(name): float(value) for name, value in (entry.get("checks") or {}).items() if value is not None},
        error=None if entry.get("error") is None else str(entry["error"]),
    )


def _score(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"score {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"score {value!r}, expected 0 to 1")
    return float(value)


def _line(line: Mapping[str, Any]) -> RubricLine:
    return RubricLine(
        id=str(line.get("id") or ""),
        criterion=str(line.get("criterion") or ""),
        points=float(line.get("points") or 0),
        met=_vote(line.get("met")),
        votes=tuple(_vote(vote) for vote in line.get("votes") or ()),
        why=str(line.get("why") or ""),
    )


def _vote(value: object) -> bool | None:
    return None if value is None else bool(value)


def _twice(names: Sequence[str]) -> str:
    return repr(next(name for name in names if names.count(name) > 1))
