"""Our simulator beside the real engine: one game, one walk, and whatever they do not agree on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal, get_args

from understudy.environments.agents import Scene, World
from understudy.environments.household import Household, next_action
from understudy.protocols import Task

Walk = Literal["random", "expert", "astray"]
"""Who chooses the actions: chance, the expert, or the expert who is led astray one time in three."""
WALKS: tuple[Walk, ...] = get_args(Walk)
_LISTED = re.compile(r"you see (.*?)\.(?= |$)")
_ASTRAY = 1 / 3
_UNOFFERED = 0.1
"""Share of a random walk's actions that may not be on offer."""
_FOREIGN = ("dance", "go to", "go to nowhere 1", "take apple 9 from fridge 1", "open  fridge 1", "clean", "look around")


@dataclass
class Comparison:
    """What one or more walks came to.

    Args:
        games, steps, won, offered: how many were compared; ``won`` games, ``offered`` actions on offer in all.
        disagreements: one sentence each.
    """

    games: int = 0
    steps: int = 0
    won: int = 0
    offered: int = 0
    disagreements: list[str] = field(default_factory=list)


def compare(task: Task, engine: World, walk: Walk, *, max_steps: int, into: Comparison) -> None:
    """Walk through one game in both worlds, up to its end, to the first disagreement, or to ``max_steps``."""
    ours, chance = Household(), Random(f"differential/{task.problem}/{walk}")
    scene, other = ours.reset(task, 0), engine.reset(task, 0)
    into.games += 1
    action, step = "reset", 0
    while True:
        into.offered += len(scene.admissible)
        wrong = differences(scene, other)
        into.disagreements += [f"{task.problem} ({walk}) step {step} after {action!r}: {one}" for one in wrong]
        if wrong or scene.done or step == max_steps:
            break
        assert ours.house is not None, "reset made one"
        action = _chosen(walk, next_action(ours.house), scene.admissible, chance)
        scene, other, step = ours.step(action), engine.step(action), step + 1
    into.steps += step
    into.won += scene.done and other.done


def differences(ours: Scene, theirs: Scene) -> list[str]:
    """What two scenes do not agree on: facts, actions on offer, reward, success, the goal."""
    pairs = {
        "observation": (facts(ours.observation), facts(theirs.observation)),
        "admissible": (ours.admissible, theirs.admissible),
        "reward": (ours.reward, theirs.reward),
        "done": (ours.done, theirs.done),
        "won": (ours.won, theirs.won),
        "goal": (ours.goal, theirs.goal),
    }
    return [f"{name}: ours {mine!r}, engine {other!r}" for name, (mine, other) in pairs.items() if mine != other]


def facts(observation: str) -> str:
    """An observation with its lists in order: the engine tells what lies somewhere in no order of its own.

    >>> facts("On the shelf 1, you see a mug 2, and a book 1.")
    'On the shelf 1, you see {a book 1; a mug 2}.'
    """

    def ordered(found: re.Match[str]) -> str:
        names = sorted(name.removeprefix("and ").strip() for name in found[1].split(", "))
        return f"you see {{{'; '.join(names)}}}."

    return _LISTED.sub(ordered, observation)


def _chosen(walk: Walk, planned: str, admissible: Sequence[str], chance: Random) -> str:
    if walk == "expert" or (walk == "astray" and chance.random() >= _ASTRAY):
        return planned
    if walk == "random" and chance.random() < _UNOFFERED:
        return chance.choice((*_FOREIGN, planned))
    # By verb first, or nearly every step would go somewhere else.
    verb = chance.choice(sorted({action.split()[0] for action in admissible}))
    return chance.choice([action for action in admissible if action.split()[0] == verb])
