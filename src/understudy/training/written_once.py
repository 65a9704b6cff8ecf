"""A writer whose completions do not depend on the step: each is made once, then found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from understudy.environments.episode import Episode
from understudy.protocols import Task
from understudy.rollouts import Rollout
from understudy.training.collecting import Write
from understudy.training.rollout_store import Place, RolloutStore, place_of

Begin = Callable[[str, int], None]
"""Told the name of a phase of a step, and how many completions are expected in it."""


def written_once(write: Write, store: RolloutStore, *, purpose: str, begin: Begin | None = None) -> Write:
    """One fixed rollout for each attempt at a problem: drawn by keys of its own at first use, then from the store.

    Args:
        write: makes the rollouts. purpose: names the stream of their draws.
        begin: told when they are made, as a phase within the step's sampling; None: they are the step's sampling.
    """

    def recall(
        episodes: Sequence[Episode],
        _: int,
        progress: Callable[[int], None] | None,
        **__: object,  # nearly all are in the store: there is nobody to tell
    ) -> list[Rollout]:
        missing = {place_of(episode): episode for episode in episodes if store.find(episode) is None}
        made: dict[Place, Rollout] = {}
        if missing:
            if begin is not None:
                begin(purpose, len(missing))
            fresh = write([standing(episode, purpose) for episode in missing.values()], 0, progress)
            store.add(list(missing.values()), fresh)
            made = dict(zip(missing, fresh, strict=True))
            if begin is not None:
                begin("sample", len(episodes))
        if begin is None and progress is not None and len(episodes) > len(missing):
            progress(len(episodes) - len(missing))
        return [_of(episode, store.find(episode) or made[place_of(episode)]) for episode in episodes]

    return recall


def standing(episode: Episode, purpose: str) -> Episode:
    """The same attempt, keyed by its problem in place of its step: whenever it is played, every draw is the same."""
    task = episode.task
    return Episode(task, _number(purpose, task, episode.attempt), episode.group, episode.attempt, world_of(task))


def world_of(task: Task) -> int:
    """What keys the environment's seed of a task that is to be met again."""
    return _number("world", task, 0)


def _number(purpose: str, task: Task, attempt: int) -> int:
    text = json.dumps([purpose, task.domain, task.problem, attempt])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def _of(episode: Episode, rollout: Rollout) -> Rollout:
    return replace(rollout, key=episode.key, group=episode.group)
