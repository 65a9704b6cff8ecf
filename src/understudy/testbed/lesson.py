"""A problem with what a model is taught to answer."""

from __future__ import annotations

from collections.abc import Callable
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
    """One episode of a growing text, in two manners.

    Args:
        task: the problem. own: plays it as the teacher does; turns that are not taught show what comes of a mistake.
        foreign: plays it as the teacher does not.
    """

    task: Task
    own: Callable[[], tuple[WrittenTurn, ...]]
    foreign: Callable[[], tuple[WrittenTurn, ...]]
