"""Results made by hand: suites' files and office folders as they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from understudy.evaluation.suites import Better, SampleRecord, SuiteResult, write_suite_result
from understudy.rollouts import FinishReason


def result(scores: Mapping[str, Sequence[float]], *, name: str = "sums", better: Better = "higher") -> SuiteResult:
    """A suite's result with these samples a problem; 0 and 1 are wrong and right, others rewards."""
    samples = tuple(
        SampleRecord(
            problem=problem,
            completions=(f"{problem} is {score:g}",),
            reward=float(score),
            correct=bool(score) if score in (0, 1) else None,
            finish_reason=FinishReason.STOP,
            num_tokens=5,
        )
        for problem, values in scores.items()
        for score in values
    )
    return SuiteResult(name, better, samples)


def write(path: Path, scores: Mapping[str, Sequence[float]], *, name: str = "sums", better: Better = "higher") -> Path:
    """The same as a file."""
    write_suite_result(result(scores, name=name, better=better), path)
    return path


def right(pattern: str) -> dict[str, list[float]]:
    """One answer a problem, from a string of 1 and 0: p0, p1, ..."""
    return {f"p{place}": [float(mark)] for place, mark in enumerate(pattern)}


def write_office(folder: Path, scores: Mapping[str, float | None], *, model: str = "model") -> Path:
    """An office result with these scores and nothing handed in."""
    tasks = [
        {
            "task_id": task,
            "prompt": f"Do {task}.",
            "finished": True,
            "deliverables": [],
            "num_turns": 3,
            "num_tokens": 90,
            "error": None,
            "score": score,
            "rubric": [],
            "checks": {},
        }
        for task, score in scores.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    content = {"kind": "office", "name": folder.name, "model": model, "suite": "desk", "tasks": tasks}
    (folder / "results.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
