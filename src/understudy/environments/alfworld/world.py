"""ALFWorld's own engine as a world: games of ours, and the published ones."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from understudy.environments.agents import Scene
from understudy.environments.alfworld.engine import Engine, Engines
from understudy.environments.alfworld.game_file import pddl_problem
from understudy.environments.household.game import game_from
from understudy.errors import EnvironmentFailedError
from understudy.protocols import Task

REWARD = 10.0
"""For a task that is solved (ATOD, arXiv:2606.27814)."""
GAME_FILE = "game_file"
"""The column that names a published game."""
_GOAL = "Your task is to: "


class Alfworld:
    """Implements ``agents.World`` on the PDDL engine.

    Args:
        engines: lends the process.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._engine: Engine | None = None
        self._release: Callable[[], object] = lambda: None
        self._asked: str | None = None
        self._goal = ""
        self._info: Mapping[str, object] = {}

    def reset(self, task: Task, seed: int) -> Scene:  # noqa: ARG002  # a game holds nothing that chance decides
        """Start the task's game: the file of its column ``game_file``, or its household.

        Raises:
            DataError: the task's columns are no game. UserMistakeError: there is no engine.
            EnvironmentFailedError: the engine failed.
        """
        self.close()
        message, self._info = _opening(task)
        engine = self._engine = self._engines.take()
        self._asked, self._release = None, weakref.finalize(self, self._engines.give, engine)
        engine.send({"open": message})
        answer = engine.receive()
        room, self._goal = _introduced(answer["text"])
        return self._scene(room, answer)

    def prepare(self, action: str) -> None:
        """Let the engine begin with an action that ``step`` will take next."""
        self._running().send({"step": action})
        self._asked = action

    def step(self, action: str) -> Scene:
        """Act; ``Nothing happens.`` where that does nothing here.

        Raises:
            EnvironmentFailedError: no episode is running, or the engine failed or gave no answer in time.
        """
        engine = self._running()
        if self._asked != action:
            if self._asked is not None:
                raise EnvironmentFailedError("another action was prepared", got=repr(action), expected=self._asked)
            engine.send({"step": action})
        self._asked = None
        answer = engine.receive()
        return self._scene(" ".join(answer["text"].split()), answer)

    def close(self) -> None:
        """End the episode; its process is free for another. It is also free once nothing holds this world."""
        self._engine = None
        self._release()

    def _running(self) -> Engine:
        if self._engine is None:
            raise EnvironmentFailedError("step without a running episode", remedy="Call reset first.")
        return self._engine

    def _scene(self, text: str, answer: Mapping[str, Any]) -> Scene:
        won = bool(answer["won"])
        if won:
            self.close()
        return Scene(
            text,
            self._goal,
            tuple(answer["admissible"]),
            reward=REWARD if won else 0.0,
            done=won,
            won=True if won else None,
            info=self._info,
        )


def _opening(task: Task) -> tuple[dict[str, object], Mapping[str, object]]:
    """What the engine is to load, and the figures of its scenes."""
    kind = str(task.columns.get("kind", ""))
    if task.columns.get(GAME_FILE):
        return {"file": str(task.columns[GAME_FILE])}, {"kind": kind}
    game = game_from(task.columns)
    return {"pddl_problem": pddl_problem(game), "goal": game.goal.sentence}, {"kind": kind}


def _introduced(text: str) -> tuple[str, str]:
    """The room and the goal of the engine's first words.

    >>> _introduced("-= Welcome =-\\n\\nYou see a bed 1.\\n\\nYour task is to: sleep.")
    ('You see a bed 1.', 'sleep')
    """
    before, _, goal = text.partition(_GOAL)
    room = next((part for part in before.strip().split("\n\n")[::-1] if part), "")
    return " ".join(room.split()), goal.strip().removesuffix(".")
