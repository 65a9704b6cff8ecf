"""A problem with what a model is taught to answer."""

from __future__ import annotations

from dataclasses import dataclass

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
