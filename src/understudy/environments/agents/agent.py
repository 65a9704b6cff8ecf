"""An agent's side of a world: prompts with a window of history, replies read as actions, penalties, and a tally."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from understudy.environments.agents.replies import Reply
from understudy.environments.agents.world import Scene, World
from understudy.errors import EnvironmentFailedError
from understudy.protocols import Observation, Prompt, Task

Style = Literal["fresh", "growing"]
TALLY = "agent"
"""Key of ``Observation.info`` at the end, and of ``Rollout.extra``: the tally of the episode."""
DEED = "deed"
"""Key of ``Observation.info`` after each action, of which ``Turn.deed`` is made."""
NOT_READ = "Nothing happens: no action could be read."


@dataclass(frozen=True)
class Past:
    """One turn that is over: what was seen, and what was done."""

    observation: str
    action: str


@dataclass(frozen=True)
class Deed:
    """What one turn came to.

    Args:
        observation: what was seen. action: as it was read; empty where none could be.
        malformed, inadmissible: as in ``Tally``. repeated: the same was seen and done before in this episode.
    """

    observation: str
    action: str
    malformed: bool
    inadmissible: bool
    repeated: bool


@dataclass(frozen=True)
class Sight:
    """Everything a prompt may tell.

    Args:
        goal: the task. observation: the newest. admissible: actions that do something now.
        history: the last turns, oldest first. num_steps: actions taken before this prompt.
    """

    goal: str
    observation: str
    admissible: tuple[str, ...]
    history: tuple[Past, ...]
    num_steps: int


@dataclass(frozen=True)
class Manner:
    """How an agent is spoken to and understood.

    Args:
        words: puts a sight into a prompt; with style ``growing``, only what is new since the last turn.
        read: makes an action of a reply. history: turns that a prompt repeats. penalty: taken from the reward of a
            turn whose action is not valid. style: a fresh prompt each turn, or one growing conversation.
        cut: shortens an observation that is too long, and says whether it did.
    """

    words: Callable[[Sight], Prompt]
    read: Callable[[str], Reply]
    history: int = 2
    penalty: float = 0.1
    style: Style = "fresh"
    cut: Callable[[str], tuple[str, bool]] = lambda text: (text, False)


@dataclass(frozen=True)
class Tally:
    """What an episode came to.

    Args:
        steps: actions taken. malformed: replies not in the form asked for. inadmissible: actions, well formed, that
            the world did not offer. cut: observations that were shortened. penalties: taken from the rewards.
        repeated: turns that saw and did what an earlier turn of the episode had. won: None while undecided.
        world: the figures of the last scene.
    """

    steps: int = 0
    malformed: int = 0
    inadmissible: int = 0
    repeated: int = 0
    cut: int = 0
    penalties: float = 0.0
    won: bool | None = None
    world: Mapping[str, object] = field(default_factory=dict)


class Agent:
    """Implements ``protocols.Environment`` for any ``World``.

    A reply that no action can be read from does not reach the world: the turn is spent, the penalty taken, and the
    scene stays. An action that the world does not offer is told to it (it answers that nothing happens), and costs the
    same penalty.

    Args:
        world: a fresh one. manner: how its agent is spoken to and understood.
    """

    def __init__(self, world: World, manner: Manner) -> None:
        self._world, self._manner = world, manner
        self._scene: Scene | None = None
        self._past: list[Past] = []
        self._tally = Tally()

    def reset(self, task: Task, seed: int) -> Observation:
        """Start an episode; the same task and seed give the same episode."""
        self._past, self._tally = [], Tally()
        return self._shown(self._world.reset(task, seed), reward=0.0)

    def step(self, action: str) -> Observation:
        """Act as the reply says.

        Raises:
            EnvironmentFailedError: no episode is running.
        """
        before = self._scene
        if before is None or before.done:
            raise EnvironmentFailedError("step without a running episode", remedy="Call reset first.")
        reply = self._manner.read(action)
        scene = self._world.step(reply.action) if reply.action else _unmoved(before)
        past = Past(before.observation, reply.action or action.strip())
        deed = Deed(
            observation=before.observation,
            action=reply.action,
            malformed=not reply.well_formed,
            inadmissible=reply.well_formed and not before.offers(reply.action),
            repeated=past in self._past,
        )
        self._past.append(past)
        penalty = self._manner.penalty if deed.malformed or deed.inadmissible else 0.0
        self._tally = _counted(self._tally, deed, penalty)
        return self._shown(scene, reward=scene.reward - penalty, deed=deed)

    def prepare(self, action: str) -> None:
        """Tell a world that has ``prepare(action)`` what it will be asked, so that slow work runs side by side."""
        prepare = getattr(self._world, "prepare", None)
        meant = self._manner.read(action).action if prepare is not None else ""
        if prepare is not None and meant:
            prepare(meant)

    def _shown(self, scene: Scene, *, reward: float, deed: Deed | None = None) -> Observation:
        text, was_cut = self._manner.cut(scene.observation)
        self._scene = scene = replace(scene, observation=text)
        self._tally = replace(self._tally, cut=self._tally.cut + was_cut, won=scene.won, world=scene.info)
        history = tuple(self._past[-self._manner.history :]) if self._manner.history else ()
        sight = Sight(scene.goal, scene.observation, scene.admissible, history, num_steps=len(self._past))
        return Observation(
            prompt="" if scene.done else self._manner.words(sight),
            style=self._manner.style,
            reward=reward,
            done=scene.done,
            correct=bool(scene.won),  # an episode that runs out of turns was not won
            info={TALLY: self._tally} | ({} if deed is None else {DEED: deed}),
        )


def fields_of(record: object) -> dict[str, object] | None:
    """The fields of a tally or a deed, for files; what comes from another process is fields already."""
    if isinstance(record, Tally | Deed):
        return dict(vars(record))
    return dict(record) if isinstance(record, Mapping) else None


def _counted(tally: Tally, deed: Deed, penalty: float) -> Tally:
    return replace(
        tally,
        steps=tally.steps + 1,
        malformed=tally.malformed + deed.malformed,
        inadmissible=tally.inadmissible + deed.inadmissible,
        repeated=tally.repeated + deed.repeated,
        penalties=tally.penalties + penalty,
    )


def _unmoved(scene: Scene) -> Scene:
    return replace(scene, observation=NOT_READ, reward=0.0)
