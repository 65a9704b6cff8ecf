"""What is to be attempted: a task, the numbers that key the attempt, and how it begins."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.environments.openings import Written
from understudy.protocols import Task


@dataclass(frozen=True, eq=False)
class Episode:
    """One attempt to make.

    Args:
        task: the problem. key: number of the rollout, unique within its step on every rank; keys its draws.
        group: rollouts of one prompt share a group; they meet the same episode.
        attempt: number of the attempt within its group.
        world: keys the environment's seed in place of step and group: whoever has it meets the same episode at any
            step; None for an episode of the step.
        opening: how the first completions begin, one each; None where nobody but the speaker is to write.
    """

    task: Task
    key: int
    group: int
    attempt: int = 0
    world: int | None = None
    opening: tuple[Written, ...] | None = None
