"""Environments that do what none should, imported by name in the processes that they live in."""

from __future__ import annotations

import os
import time
from typing import Any

from understudy.environments.agents import Agent, Manner, plain
from understudy.environments.toy import RememberDigit
from understudy.errors import DataError
from understudy.protocols import Observation, Task


class Misbehaving(RememberDigit):
    """Does as the task's digit says: 1 hangs, 2 dies, 3 raises, 4 gives the wrong type, 5 a reward that is none."""

    def reset(self, task: Task, seed: int) -> Observation:
        self._number = task.columns.get("digit")
        if self._number is None:
            raise DataError("the task has no digit", expected="column digit")
        return super().reset(task, seed)

    def step(self, action: str) -> Observation:
        if self._number == 1:
            time.sleep(3600)
        if self._number == 2:
            os._exit(3)
        if self._number == 3:
            raise ValueError("broken pipe")
        if self._number == 4:
            return "done"  # type: ignore[return-value]
        if self._number == 5:
            return Observation("", reward="much")  # type: ignore[arg-type]
        return super().step(action)


class Pausing(RememberDigit):
    """Thinks for half a second before each answer."""

    def step(self, action: str) -> Observation:
        time.sleep(0.5)
        return super().step(action)


def corridor() -> Any:
    from tests.environments.agents.corridor import Corridor

    return Agent(Corridor(), Manner(words=lambda sight: sight.observation, read=plain))
