"""Recipes with a household: what their section makes, and what is refused."""

from __future__ import annotations

import pytest

from tests.environments.alfworld.reach import PYTHON, needs_engine
from understudy.build.worlds import world_of
from understudy.environments.household import demonstrate
from understudy.environments.household.tiny import spoken
from understudy.errors import DataError, UserMistakeError
from understudy.protocols import Environment, Task
from understudy.recipe import EnvironmentConfig
from understudy.testbed.datasets import tasks


def made(**fields: object) -> Environment:
    factory = world_of(EnvironmentConfig(**fields))  # type: ignore[arg-type]
    assert factory is not None
    return factory()


def test_a_tiny_household_grows_and_is_won_by_the_expert() -> None:
    task = tasks("testbed/household-tiny", "validation", limit=1)[0]
    world = made(kind="household", size="tiny")
    seen = world.reset(task, 0)
    assert seen.style == "growing" and str(seen.prompt).startswith("start : ")
    for move in demonstrate(task).moves:
        seen = world.step(spoken(move.action))
    assert seen.done and seen.correct is True and seen.reward == 10.0


def test_a_full_household_is_fresh_and_has_its_window_and_its_cut() -> None:
    task = tasks("testbed/household", "train", limit=1)[0]
    world = made(kind="household", history=1, max_observation_tokens=5)
    first = world.reset(task, 0)
    assert first.style == "fresh" and "(cut)" in _text(first.prompt)
    later = [world.step("<think>?</think><action>look</action>") for _ in range(3)][-1]
    assert "[Observation 3:" in _text(later.prompt) and "[Observation 2:" not in _text(later.prompt)


def test_episodes_are_as_long_as_their_size() -> None:
    assert EnvironmentConfig(kind="household").num_turns == EnvironmentConfig(kind="alfworld").num_turns == 50
    assert EnvironmentConfig(kind="household", size="tiny").num_turns == 20
    assert EnvironmentConfig(kind="household").is_agent


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "household", "python": "python3"}, "an environment of kind household has no python"),
        ({"kind": "alfworld", "size": "tiny"}, "an environment of kind alfworld has no size"),
        ({"kind": "household", "size": "huge"}, "size"),
    ],
)
def test_fields_of_other_worlds_are_refused(fields: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EnvironmentConfig(**fields)  # type: ignore[arg-type]


def test_an_engine_that_is_not_there_stops_a_run_before_it_begins() -> None:
    with pytest.raises(UserMistakeError, match="the Python for ALFWorld cannot be started; got no-such-python"):
        world_of(EnvironmentConfig(kind="alfworld", python="no-such-python"))


@needs_engine
@pytest.mark.timeout(300)
def test_the_engine_plays_our_games_behind_the_same_agent() -> None:
    task = tasks("testbed/household", "validation", limit=1)[0]
    world = made(kind="alfworld", python=PYTHON)
    seen = world.reset(task, 0)
    for move in demonstrate(task, knows=True).moves:
        said = f"<think>so</think><action>{move.action}</action>"
        world.prepare(said)  # type: ignore[attr-defined]
        seen = world.step(said)
    assert seen.done and seen.correct is True and seen.reward == 10.0


def test_data_sets_have_their_splits() -> None:
    names = ("testbed/household", "testbed/household-tiny")
    for name in names:
        drawn = {split: [t.problem for t in tasks(name, split, limit=5)] for split in ("train", "eval", "validation")}
        assert [found[0].rpartition("-0-")[0].rpartition("-")[2] for found in drawn.values()] == [
            "train",
            "valid_unseen",
            "valid_seen",
        ]
        assert tasks(name, "test", limit=5) == tasks(name, "eval", limit=5)
        with pytest.raises(DataError, match=f"{name} has no split of that name"):
            tasks(name, "dev")
    assert len(tasks("testbed/household-tiny", "validation")) == 500
    assert all(isinstance(task, Task) for task in tasks("testbed/household", limit=2))


def _text(prompt: object) -> str:
    assert isinstance(prompt, list)
    return str(prompt[0]["content"])
