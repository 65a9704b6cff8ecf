"""The household as a world to act in."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.environments.agents import Scene
from understudy.environments.household.game import game_from
from understudy.environments.household.house import House
from understudy.errors import EnvironmentFailedError
from understudy.protocols import Task

REWARD = 10.0
"""For a task that is solved (ATOD, arXiv:2606.27814)."""


class Household:
    """Implements ``agents.World``: one game of the task's columns; ends when its goal is reached.

    Attributes:
        house: the state, for an expert to read.
    """

    def __init__(self) -> None:
        self.house: House | None = None
        self._goal = ""
        self._info: Mapping[str, object] = {}

    def reset(self, task: Task, seed: int) -> Scene:  # noqa: ARG002  # a game holds nothing that chance decides
        """Start the task's game.

        Raises:
            DataError: the task's columns are no game.
        """
        game = game_from(task.columns)
        self.house = house = House(game)
        self._goal, self._info = game.goal.sentence, {"kind": game.goal.kind}
        return Scene(house.around(), self._goal, house.admissible(), info=self._info)

    def step(self, action: str) -> Scene:
        """Act; ``Nothing happens.`` where that does nothing here.

        Raises:
            EnvironmentFailedError: no episode was started.
        """
        house = self.house
        if house is None:
            raise EnvironmentFailedError("step without a running episode", remedy="Call reset first.")
        text, won = house.act(action), house.won
        return Scene(
            text,
            self._goal,
            house.admissible(),
            reward=REWARD if won else 0.0,
            done=won,
            won=True if won else None,
            info=self._info,
        )
