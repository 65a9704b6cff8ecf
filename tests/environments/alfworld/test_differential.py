"""Our simulator and ALFWorld's engine on the same walks; ``benchmarks.household --differential`` does it at length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.environments.alfworld.reach import PYTHON, needs_engine
from tests.environments.household.rooms import HEAT
from understudy.environments.agents import Scene
from understudy.environments.alfworld import WALKS, Alfworld, Comparison, Engines, compare
from understudy.environments.alfworld.differential import differences, facts
from understudy.environments.household import Household, task_of, tasks, tiny_household_tasks
from understudy.protocols import Task


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    lent = Engines(PYTHON)
    yield lent
    lent.close()


@needs_engine
@pytest.mark.timeout(600)
def test_simulator_and_engine_agree_at_every_step(engines: Engines) -> None:
    found = Comparison()
    games = [
        task
        for kind in ("place", "two", "examine", "clean", "heat", "cool")
        for task in tasks("train", 1, 3, kinds=(kind,))
    ]
    for number, task in enumerate([*games, *tiny_household_tasks("valid_unseen", 3, 3)]):
        compare(task, Alfworld(engines), WALKS[number % len(WALKS)], max_steps=25, into=found)
    assert not found.disagreements
    assert found.games == 9 and found.steps > 60 and found.won >= 3


class Lying:
    """The simulator, but for one thing that it tells wrong from the second step on."""

    def __init__(self, lie: dict[str, object]) -> None:
        self._world, self._lie, self._num_steps = Household(), lie, 0

    def reset(self, task: Task, seed: int) -> Scene:
        return self._world.reset(task, seed)

    def step(self, action: str) -> Scene:
        self._num_steps += 1
        scene = self._world.step(action)
        return replace(scene, **self._lie) if self._num_steps > 1 else scene  # type: ignore[arg-type]


@pytest.mark.parametrize("walk", WALKS)
def test_a_world_agrees_with_itself(walk) -> None:
    found = Comparison()
    for task in tasks("train", 12, 1):
        compare(task, Household(), walk, max_steps=40, into=found)
    assert found.games == 12 and not found.disagreements and found.offered > found.steps > 12
    assert found.won == 12 or walk != "expert"


@pytest.mark.parametrize(
    "lie",
    [
        {"observation": "You arrive at the moon."},
        {"admissible": ("look",)},
        {"reward": 1.0},
        {"won": False},
        {"goal": ""},
    ],
)
def test_every_lie_is_found_at_its_first_step(lie: dict[str, object]) -> None:
    found = Comparison()
    compare(task_of(HEAT, "heat"), Lying(lie), "expert", max_steps=40, into=found)
    (said,) = found.disagreements
    assert said.startswith(f"heat (expert) step 2 after 'take apple 1 from countertop 1': {next(iter(lie))}: ours")


def test_lists_may_stand_in_any_order_and_nothing_else_may() -> None:
    one = Scene("On the bed 1, you see a pen 1, and a book 2.")
    assert not differences(one, replace(one, observation="On the bed 1, you see a book 2, and a pen 1."))
    assert differences(one, replace(one, observation="On the bed 1, you see a book 2."))
    assert differences(one, replace(one, observation="On the bed 2, you see a book 2, and a pen 1."))
    assert facts("Looking quickly around you, you see a bed 1, a desk 1, and a bed 2.").endswith(
        "{a bed 1; a bed 2; a desk 1}."
    )
