"""Episodes of the expert, and of an expert that is led astray and finds back."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from understudy.environments.agents import Scene
from understudy.environments.household.expert import next_action
from understudy.environments.household.world import Household
from understudy.protocols import Task


@dataclass(frozen=True)
class Move:
    """One turn of a demonstration.

    Args:
        scene: what was seen. action: what was done. is_planned: the expert chose it; where not, a lesson shows the
            action and what came of it, but does not teach it.
    """

    scene: Scene
    action: str
    is_planned: bool


@dataclass(frozen=True)
class Demonstration:
    """A whole episode.

    Args:
        moves: in order. last: the scene after them.
    """

    moves: tuple[Move, ...]
    last: Scene


def demonstrate(
    task: Task, *, seed: int = 0, off_plan: float = 0.0, knows: bool = False, max_steps: int = 200
) -> Demonstration:
    """Let the expert play a task.

    Args:
        seed: of the actions off the plan. off_plan: share of turns at which any admissible action is taken in place of
            the expert's, each decided by its own draw; the expert goes on from wherever that leads.
        knows: see ``next_action``. max_steps: the episode ends there, won or not.
    """
    world, chance = Household(), Random(f"demonstration/{task.problem}/{seed}")
    scene = world.reset(task, seed)
    moves: list[Move] = []
    while not scene.done and len(moves) < max_steps:
        assert world.house is not None, "reset made one"
        is_planned = chance.random() >= off_plan
        action = next_action(world.house, knows=knows) if is_planned else chance.choice(scene.admissible)
        moves.append(Move(scene, action, is_planned))
        scene = world.step(action)
    return Demonstration(tuple(moves), scene)
