"""What is to be attempted: a task, and the numbers that key the attempt."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.protocols import Task


@dataclass(frozen=True)
class Episode:
    """One attempt to make.

    Args:
        task: the problem. key: number of the rollout, unique within its step on every rank; keys its draws.
        group: rollouts of one prompt share a group; they meet the same episode.
    """

    task: Task
    key: int
    group: int
