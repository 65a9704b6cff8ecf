"""A two-turn toy over a 24-character vocabulary: small enough for a model of a thousand weights to learn."""

from __future__ import annotations

from typing import Literal

from understudy.errors import EnvironmentFailedError
from understudy.protocols import Observation, Task

CHARACTERS = "0123456789 :adgiknosty"


class RememberDigit:
    """Implements ``protocols.Environment``: say the digit shown, then say it again, told how the first went.

    Turn 1 shows ``digit 7:``. Turn 2 shows only what was said, ``said 7 ok:`` or ``said 3 no:``, so a wrong first
    answer costs the second turn too. Each right turn earns 0.5; the task is solved when both are right.

    Args:
        style: ``fresh``: turn 2 is a new prompt; ``growing``: it is added to the context of turn 1.
    """

    def __init__(self, style: Literal["fresh", "growing"] = "fresh") -> None:
        self._style = style
        self._digit = ""
        self._said: str | None = None
        self._running = False

    def reset(self, task: Task, seed: int) -> Observation:
        """Show the digit in the task's column ``digit``, or, without one, the last digit of the seed."""
        self._digit = str(task.columns.get("digit", seed % 10))
        self._said, self._running = None, True
        return Observation(prompt=f"digit {self._digit}:", style=self._style)

    def step(self, action: str) -> Observation:
        """Judge the first character of the completion.

        Raises:
            EnvironmentFailedError: no episode is running.
        """
        if not self._running:
            raise EnvironmentFailedError("step without a running episode", remedy="Call reset first.")
        said, first = action[:1], self._said
        reward = 0.5 * (said == self._digit)
        if first is None:
            self._said = said
            verdict = "ok" if reward else "no"
            return Observation(prompt=f"said {said} {verdict}:", style=self._style, reward=reward)
        self._running = False
        return Observation(prompt="", reward=reward, done=True, correct=first == said == self._digit)


def remember_digit_tasks() -> list[Task]:
    """One task for each digit."""
    return [Task(problem=f"digit-{d}", prompt="", columns={"digit": d}, domain="remember-digit") for d in range(10)]
