"""The smallest world: a corridor of rooms, a door at its end."""

from __future__ import annotations

from understudy.environments.agents import Scene
from understudy.protocols import Task


class Corridor:
    """Walk ``forward`` often enough (column ``length``) and ``open`` the door; 10 for it."""

    def __init__(self) -> None:
        self._left = 0

    def reset(self, task: Task, seed: int) -> Scene:
        self._left = int(str(task.columns["length"]))
        return self._scene(f"seed {seed % 2}")

    def step(self, action: str) -> Scene:
        if action == "forward" and self._left:
            self._left -= 1
            return self._scene(f"{self._left} rooms to go")
        if action == "open" and not self._left:
            return Scene("the door opens", "leave", reward=10.0, done=True, won=True, info={"score": 1.0})
        return self._scene("nothing happens")

    def _scene(self, text: str) -> Scene:
        return Scene(text, "leave", admissible=("forward",) if self._left else ("open",), info={"score": 0.0})
