"""A text world in which an agent acts for many turns, without any words about prompts, tags or penalties."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from understudy.protocols import Task


@dataclass(frozen=True)
class Scene:
    """What a world shows after an action, or at the start.

    Args:
        observation: what the agent sees. goal: the task in words; the same in every scene of an episode.
        admissible: actions that do something here, none where the world does not tell; ``<...>`` stands for any words.
        reward: of the action just taken. done: the episode is over. won: whether the task was solved, once it is over.
        info: figures of this world, such as a raw score; the last scene's are kept with the rollout.
    """

    observation: str
    goal: str = ""
    admissible: tuple[str, ...] = ()
    reward: float = 0.0
    done: bool = False
    won: bool | None = None
    info: Mapping[str, object] = field(default_factory=dict)

    def offers(self, action: str) -> bool:
        """Whether the action does something here, as far as the world tells.

        >>> [Scene("", admissible=("search[<query>]", "leave")).offers(one) for one in ("search[shoes]", "search[]")]
        [True, False]
        """
        if not self.admissible or action in self.admissible:
            return True
        return any(_form(one).fullmatch(action) for one in self.admissible if "<" in one)


def _form(action: str) -> re.Pattern[str]:
    return re.compile(".+".join(re.escape(part) for part in re.split(r"<[^<>]*>", action)), re.DOTALL)


@runtime_checkable
class World(Protocol):
    """One episode at a time; the same task and seed give the same episode."""

    def reset(self, task: Task, seed: int) -> Scene:
        """Start an episode."""
        ...

    def step(self, action: str) -> Scene:
        """Take an action; one that is not admissible changes nothing and says so."""
        ...
