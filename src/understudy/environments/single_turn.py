"""The environment of most data sets: one prompt, one completion, one verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

from understudy.errors import EnvironmentFailedError
from understudy.protocols import Observation, Task


class Verdict(Protocol):
    """What a verifier says of a completion: its reward, whether it is right, and the answer it read."""

    @property
    def reward(self) -> float:
        """Reward of the completion."""
        ...

    @property
    def correct(self) -> bool:
        """Whether it solves its task."""
        ...

    @property
    def parsed(self) -> str | None:
        """The answer as it was read; None when none was found."""
        ...


class SingleTurn:
    """Implements ``protocols.Environment``: shows the task's prompt, judges the completion, is done.

    Args:
        verifier: (completion, the task's columns) -> verdict; None for data that nothing grades
            (reward NaN, undecided).
    """

    def __init__(self, verifier: Callable[[str, Mapping[str, object]], Verdict] | None) -> None:
        self._verifier = verifier
        self._task: Task | None = None

    def reset(self, task: Task, seed: int) -> Observation:  # noqa: ARG002 (nothing here is random)
        """The task's prompt."""
        self._task = task
        return Observation(prompt=task.prompt)

    def step(self, action: str) -> Observation:
        """The verdict on the completion; the episode is over.

        Raises:
            EnvironmentFailedError: no episode is running.
        """
        task, self._task = self._task, None
        if task is None:
            raise EnvironmentFailedError("step without a running episode", remedy="Call reset first.")
        if self._verifier is None:
            return Observation(prompt="", reward=math.nan, done=True)
        verdict = self._verifier(action, task.columns)
        return Observation(
            prompt="", reward=verdict.reward, done=True, correct=verdict.correct, info={"parsed": verdict.parsed}
        )
