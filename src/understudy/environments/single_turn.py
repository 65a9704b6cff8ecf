"""The environment of most data sets: one prompt, one completion, one verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from understudy.errors import EnvironmentFailedError
from understudy.protocols import Observation, Task


class Verdict(Protocol):
    """What a verifier says of a completion: its reward, whether it is right, and the answer it read."""

    @property
    def reward(self) -> float:
        """Reward of the completion."""
        ...

    @property
    def correct(self) -> bool | None:
        """Whether it solves its task; None where only a reward was given."""
        ...

    @property
    def parsed(self) -> str | None:
        """The answer as it was read; None when none was found."""
        ...


Verifier = Callable[[str, Mapping[str, object]], Verdict]
"""(completion, the task's columns) -> verdict. One with ``begin`` judges in the background: see ``SingleTurn``."""


class SingleTurn:
    """Implements ``protocols.Environment``: shows the task's prompt, judges the completion, is done.

    A verifier that takes its time may have ``begin``, with the same arguments, which starts to judge and gives a
    function that waits for the verdict: then the completions of a batch are judged side by side.

    Args:
        verifier: judges; None for data that nothing grades (reward NaN, undecided).
        by_domain: verifiers of tasks from several data sets, by their domain, in place of ``verifier``.
    """

    def __init__(
        self, verifier: Verifier | None = None, *, by_domain: Mapping[str, Verifier | None] | None = None
    ) -> None:
        self._verifier, self._by_domain = verifier, by_domain
        self._task: Task | None = None
        self._begun: Callable[[], Verdict] | None = None

    def reset(self, task: Task, seed: int) -> Observation:  # noqa: ARG002 (nothing here is random)
        """The task's prompt."""
        self._task, self._begun = task, None
        if self._by_domain is not None:
            self._verifier = self._by_domain[task.domain]
        return Observation(prompt=task.prompt)

    def prepare(self, action: str) -> None:
        """Start to judge what ``step`` will be given."""
        begin: Any = getattr(self._verifier, "begin", None)
        if begin is not None and self._task is not None:
            self._begun = begin(action, self._task.columns)

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
        verdict = self._begun() if self._begun is not None else self._verifier(action, task.columns)
        return Observation(
            prompt="", reward=verdict.reward, done=True, correct=verdict.correct, info={"parsed": verdict.parsed}
        )
