"""A problem with what a model is taught to answer."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.environments.dialogues import WrittenTurn
from understudy.protocols import Task


@dataclass(frozen=True)
class Lesson:
    """One problem, solved in two manners.

    Args:
        task: the problem. own: its solution as the teacher writes it. foreign: as the teacher does not.
    """

    task: Task
    own: str
    foreign: str


@dataclass(frozen=True)
class PlayedLesson:
    """One episode of a growing text, as the teacher plays it.

    Args:
        task: the problem. turns: in order; those that are not taught show what comes of a mistake.
    """

    task: Task
    turns: tuple[WrittenTurn, ...]
