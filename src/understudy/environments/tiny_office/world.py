"""An office of some dozens of words: small spreadsheets and notes, tools of few words, and a rubric at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from understudy.environments.agents import Scene
from understudy.environments.tiny_office.errands import Errand, errand_of
from understudy.environments.tiny_office.rubric import grade, score_of
from understudy.environments.tiny_office.tools import DESK, act
from understudy.environments.tiny_office.words import REFUSED, view
from understudy.environments.tiny_office.workspaces import InMemory, Workspace
from understudy.protocols import Task

MAX_TURNS = 12
"""Of an attempt; an attempt is efficient where it hands in within half of them (our measure, no published one)."""
DELIVERABLE_RATE, EFFICIENCY_RATE = "office/any_deliverable_rate", "office/efficiency_rate"
"""Figures of a scene, 1 or 0: a file was handed in; it was so within half of the turns."""


class TinyOffice:
    """Implements ``agents.World``: the actions of ``tools.act``, and ``finish NAME``, which hands a file in and ends.

    ``finish`` with no name ends too, and nothing is handed in, as after ``MAX_TURNS``; with a name that no file has it
    changes nothing. The
    reward, at the end, is the rubric's score; the task is won where every line of the rubric is met.

    Args:
        workspace: makes the workspace of a task, empty; in memory by default.
    """

    def __init__(self, workspace: Callable[[Task], Workspace] = lambda _: InMemory()) -> None:
        self._make = workspace
        self._errand: Errand | None = None
        self._workspace: Workspace = InMemory()
        self._opened, self._turns = DESK, 0

    def reset(self, task: Task, seed: int) -> Scene:  # noqa: ARG002  (nothing here is drawn)
        """Lay the file of the task on an empty desk.

        Raises:
            DataError: the task is no errand.
        """
        self._errand = errand_of(task)
        self._workspace = self._make(task)
        self._workspace.write(self._errand.wish.source, self._errand.document)
        self._opened, self._turns = DESK, 0
        return self._scene()

    def step(self, action: str) -> Scene:
        """Take an action; what cannot be done changes nothing, and what is seen then begins with ``no``."""
        self._turns += 1
        words = action.split()
        match words:
            case ["finish"]:
                return self._end(None, finished=True)
            case ["finish", name] if name in self._workspace.names():
                self._workspace.hand_in(name)
                return self._end(name, finished=True)
        opened = act(self._workspace, self._opened, words)
        self._opened = self._opened if opened is None else opened
        if self._turns >= MAX_TURNS:
            return self._end(None, finished=False)
        scene = self._scene()
        return replace(scene, observation=f"{REFUSED} {scene.observation}") if opened is None else scene

    def _end(self, handed_in: str | None, *, finished: bool) -> Scene:
        assert self._errand is not None, "an episode is running"
        rubric = grade(self._errand, self._workspace, handed_in)
        score = score_of(rubric)
        info = {
            "score": score,
            "finished": finished,
            "rubric": {one.id: one.met for one in rubric},
            DELIVERABLE_RATE: float(handed_in is not None),
            EFFICIENCY_RATE: float(handed_in is not None and 2 * self._turns <= MAX_TURNS),
        }
        return replace(self._scene(), reward=score, done=True, won=score == 1.0, info=info)

    def _scene(self) -> Scene:
        assert self._errand is not None, "an episode is running"
        none = {"score": 0.0, DELIVERABLE_RATE: 0.0, EFFICIENCY_RATE: 0.0}
        return Scene(view(self._workspace, self._opened), self._errand.wish.words, info=none)
