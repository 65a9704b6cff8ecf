"""A model put to errands of the tiny office over real files; what it handed in is graded and kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor

from understudy.build import Building, examinee_of, model_named, sampler_of
from understudy.environments.agents import TALLY, Agent
from understudy.environments.episodes import Episode, play
from understudy.environments.tiny_office import (
    MAX_TURNS,
    Criterion,
    OnDisk,
    TinyOffice,
    errand_of,
    grade,
    office_manner,
    score_of,
)
from understudy.evaluation.deliverables import read_deliverable
from understudy.evaluation.deliverables.checks import checks_of
from understudy.evaluation.examination import Examinee
from understudy.evaluation.suites import write_json
from understudy.models.chat import decode
from understudy.protocols import SamplingParams, Task
from understudy.recipe import LocalEngine
from understudy.rollouts import FinishReason, Rollout
from understudy.study.settings import MAX_COMPLETION_TOKENS, SUITE, StudySettings
from understudy.written_whole import AGAIN, refused_by_disk

RESULTS = "results.json"
WORKSPACE, DELIVERABLES, TRANSCRIPT = "workspace", "deliverables", "transcript.json"


def attempt_office(
    model: str,
    tasks: Sequence[Task],
    folder: Path,
    *,
    name: str,
    settings: StudySettings,
    building: Building | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, object]:
    """Let a model attempt every task once, on files below ``folder``; write ``results.json`` there, and return it.

    A folder that was there, which a stopped attempt left, is emptied first. The grades look at the files alone, as they
    lie on disk when all is over.

    Args:
        model: a folder or ``testbed/...``. name: what its results are called.
    """
    if folder.exists():
        with refused_by_disk(folder, remedy=AGAIN):
            shutil.rmtree(folder)
    engine = LocalEngine(threads=1)
    loaded = model_named(model, engine, building=building)
    examinee = examinee_of(loaded, sampler_of(loaded.model, loaded, engine))
    rollouts = _played(examinee, tasks, folder, settings=settings, progress=progress)
    told = partial(decode, examinee.tokenizer)
    graded = [graded_task(task, one, folder, decode=told) for task, one in zip(tasks, rollouts, strict=True)]
    results: dict[str, object] = {"kind": "office", "name": name, "model": model, "suite": SUITE, "tasks": graded}
    write_json(results, folder / RESULTS)
    return results


def workspace_of(folder: Path, task: Task) -> OnDisk:
    """The files of one attempt."""
    return OnDisk(folder / task.problem / WORKSPACE, folder / task.problem / DELIVERABLES)


def _played(
    examinee: Examinee,
    tasks: Sequence[Task],
    folder: Path,
    *,
    settings: StudySettings,
    progress: Callable[[int], None] | None,
) -> list[Rollout]:
    params = SamplingParams(MAX_COMPLETION_TOKENS, settings.temperature, stop_ids=examinee.stop_ids)
    return play(
        [Episode(task, key=number, group=number) for number, task in enumerate(tasks)],
        environment_factory=lambda: Agent(TinyOffice(lambda task: workspace_of(folder, task)), office_manner()),
        sampler=examinee.sampler,
        params=params,
        tokenizer=examinee.tokenizer,
        seed=settings.seed,
        step=0,
        progress=progress,
        max_turns=MAX_TURNS,
        max_length=examinee.max_length,
    )


def graded_task(task: Task, rollout: Rollout, folder: Path, *, decode: Callable[[Tensor], str]) -> dict[str, object]:
    """One entry of ``results.json``, graded by the files below ``folder``; the transcript is written beside them.

    Args:
        decode: ids of a completion to text.
    """
    failed = rollout.finish_reason is FinishReason.FAILED
    handed_in = sorted((folder / task.problem / DELIVERABLES).glob("*"))
    rubric = grade(errand_of(task), workspace_of(folder, task), handed_in[0].stem if handed_in else None)
    said = [{"seen": str(turn.shown), "said": decode(turn.completion_ids)} for turn in rollout.turns]
    write_json(said, folder / task.problem / TRANSCRIPT)
    return {
        "task_id": task.problem,
        "prompt": str(task.prompt),
        "finished": _finished(rollout),
        "deliverables": [file.relative_to(folder).as_posix() for file in handed_in],
        "num_turns": len(rollout.turns),
        "num_tokens": sum(turn.completion_ids.numel() for turn in rollout.turns),
        "error": str(rollout.extra.get("environment_error")) if failed else None,
        "score": score_of(rubric),
        "rubric": [_line(one) for one in rubric],
        "checks": checks_of([read_deliverable(file) for file in handed_in], prompt=str(task.prompt)),
    }


def _finished(rollout: Rollout) -> bool:
    tally = rollout.extra.get(TALLY)
    world = tally.get("world", {}) if isinstance(tally, dict) else {}
    return bool(world.get("finished", False))


def _line(one: Criterion) -> dict[str, object]:
    """A program's verdict is one vote."""
    return {"id": one.id, "criterion": one.criterion, "points": one.points, "met": one.met, "votes": [one.met]}
