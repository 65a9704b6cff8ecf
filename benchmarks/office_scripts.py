"""OfficeBench's tasks played by scripts of readings, through the real tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.environments.office import OfficeBoxes, OfficeSettings
from understudy.environments.tools import Conversation, Reading, Rules, Said
from understudy.evaluation.programs import grade_by_programs
from understudy.office.players import task_for
from understudy.tasks.office import OfficeTask

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "officebench"
ABSENT = "the OfficeBench files of ../shared/data are not beside this checkout"


@dataclass(frozen=True)
class Scored:
    """A script's attempt: its task, its score, and what it was told."""

    task: OfficeTask
    score: float
    told: Sequence[object]


def played(tasks: Sequence[OfficeTask], script: Callable[[OfficeTask], Sequence[Reading]]) -> list[Scored]:
    """Every task by its script."""
    boxes = OfficeBoxes({task.task_id: task for task in tasks}, grade_by_programs, OfficeSettings())
    return [_played(task, boxes, script(task)) for task in tasks]


def _played(task: OfficeTask, boxes: OfficeBoxes, script: Sequence[Reading]) -> Scored:
    conversation = Conversation(task_for(task), boxes(task_for(task), 0), Rules())
    told: list[object] = []
    for reading in script:
        said: Said = conversation.answer(reading)
        told.append(said.prompt)
        if said.judgement is not None:
            return Scored(task, said.judgement.reward, told)
    raise AssertionError(f"{task.task_id}: the script ended before the episode: {told[-1]}")
