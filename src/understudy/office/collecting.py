"""What an attempt leaves, taken out of its workspace before that is gone: files copied, programs asked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from understudy.environments.office import Attempt, Graded
from understudy.errors import DataError
from understudy.evaluation.programs import Verdict, judge_attempt, score_of
from understudy.tasks.office import OfficeTask
from understudy.written_whole import AGAIN, refused_by_disk

_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Collected:
    """What is known of an attempt once it is over.

    Args:
        attempt: its workspace is gone. deliverables: copies, relative to the folder of the results.
        verdicts: of programs; None where there are none. score: None while ungraded. error: of the task's own checks.
    """

    attempt: Attempt
    deliverables: tuple[str, ...]
    verdicts: tuple[Verdict, ...] | None
    score: float | None
    error: str | None = None


class Collecting:
    """Grades attempts, and keeps what they left in ``folder``.

    Attributes:
        collected: by the task's identifier.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.collected: dict[str, Collected] = {}

    def grade(self, task: OfficeTask, attempt: Attempt) -> Graded:
        """The score by programs; 0 where nothing was handed in, None where graders are still to decide.

        Raises:
            DiskError: what was handed in cannot be kept; the attempt is none then.
        """
        target = self._folder / task.task_id / "deliverables"
        if target.exists():
            with refused_by_disk(target, remedy=AGAIN):
                shutil.rmtree(target)
        copied, left = _copied(attempt, target)
        places = tuple(f"{task.task_id}/deliverables/{place}" for place in copied)
        error = "; ".join(f"{place}: {why}" for place, why in left.items()) or None
        verdicts, score = None, None
        try:
            verdicts = tuple(judge_attempt(task, attempt))
            score = score_of(task.rubric, verdicts, task.scoring)
        except DataError as fault:
            error = str(fault)
        self.collected[task.task_id] = Collected(attempt, places, verdicts, score, error)
        return Graded(score)


def _copied(attempt: Attempt, target: Path) -> tuple[list[PurePosixPath], Mapping[str, str]]:
    copied: list[PurePosixPath] = []
    left: dict[str, str] = {}
    for place in attempt.handed_in:
        try:
            _copy(attempt.folder / place, target / place)
            copied.append(place)
        except OSError as error:
            left[place.as_posix()] = error.strerror or str(error)
    return copied, left


def _copy(source: Path, target: Path) -> None:
    """Copy one ordinary file; a link put in its place is not followed."""
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as read:
        if os.fstat(descriptor).st_size > _MOST_BYTES:
            raise OSError(27, f"larger than {_MOST_BYTES:,} bytes")
        with refused_by_disk(target, remedy=AGAIN):
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as write:
                shutil.copyfileobj(read, write)
