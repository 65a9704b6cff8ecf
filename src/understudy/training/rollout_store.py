"""Rollouts that are made once and kept: in memory, and in the run's folder for ``--resume``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.environments.episode import Episode
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.rollouts import FinishReason, Rollout
from understudy.training import rollout_files

_WRITER = "writer"


@dataclass(frozen=True)
class Place:
    """Where a rollout is kept: an attempt at a problem, whatever the step."""

    domain: str
    problem: str
    attempt: int


def place_of(episode: Episode) -> Place:
    """The place of an episode's rollout."""
    return Place(episode.task.domain, episode.task.problem, episode.attempt)


class RolloutStore:
    """Rollouts by place. Failed ones are not kept: what made them fail may pass.

    What an earlier process left is read at the start; files of another writer, and those that cannot be read, are
    passed over with a notice and stay as they are.

    Args:
        folder: of the files, one for each ``add``; None keeps rollouts in memory alone.
        writer: who writes, and how, as JSON has it. notice: told what is passed over.
    """

    def __init__(
        self, folder: Path | None, *, writer: Mapping[str, object], notice: Callable[[str], None] = lambda _: None
    ) -> None:
        self._folder, self._notice = folder, notice
        self._writer = json.dumps(dict(writer), sort_keys=True, default=str)
        self._kept: dict[Place, Rollout] = {}
        self._told: set[str] = set()
        files = sorted(folder.glob("*.parquet")) if folder is not None else []
        self._next = 1 + max((int(file.stem) for file in files if file.stem.isdigit()), default=-1)
        for file in files:
            self._read(file)

    def find(self, episode: Episode) -> Rollout | None:
        """The rollout at this episode's place, with its key, group and columns; None where there is none."""
        kept = self._kept.get(place_of(episode))
        if kept is None:
            return None
        task = episode.task
        if kept.extra["prompt"] != _digest(task):
            self._tell(f"The prompt of problem {task.problem} has changed: what was stored for it is written anew.")
            return None
        return replace(kept, key=episode.key, group=episode.group, extra=task.columns)

    def add(self, episodes: Sequence[Episode], rollouts: Sequence[Rollout]) -> None:
        """Keep the rollouts of these episodes, on the disk when the call returns."""
        pairs = zip(episodes, rollouts, strict=True)
        whole = [
            (place_of(e), replace(r, extra={"attempt": e.attempt, "prompt": _digest(e.task)}))
            for e, r in pairs
            if r.finish_reason != FinishReason.FAILED
        ]
        if self._folder is not None and whole:
            file = self._folder / f"{self._next:06d}.parquet"
            rollout_files.write_plain(file, [rollout for _, rollout in whole], about={_WRITER: self._writer})
            self._next += 1
        self._kept.update(whole)

    def _read(self, file: Path) -> None:
        try:
            if rollout_files.read_about(file).get(_WRITER) != self._writer:
                self._tell(f"What is stored in {file.parent} is of another writer: it is not used.")
                return
            found = rollout_files.read(file)
            self._kept.update({Place(r.domain, r.problem, _attempt(r)): r for r in found})
        except (DataError, KeyError, ValueError, TypeError) as error:
            self._tell(f"{file} cannot be read and is not used: {error}")

    def _tell(self, sentence: str) -> None:
        """Say it once."""
        if sentence not in self._told:
            self._told.add(sentence)
            self._notice(sentence)


def _attempt(rollout: Rollout) -> int:
    return int(str(rollout.extra["attempt"]))


def _digest(task: Task) -> str:
    """Of the prompt as the data has it."""
    return hashlib.sha256(json.dumps(task.prompt, sort_keys=True, default=str).encode()).hexdigest()[:16]
