"""The household as a world, alone and behind an agent."""

from __future__ import annotations

import pytest

from tests.environments.household.rooms import HEAT
from understudy.environments.agents import TALLY, Agent, Tally, World
from understudy.environments.household import Household, Size, demonstrate, manner, task_of, tasks
from understudy.environments.household.tiny import spoken
from understudy.errors import DataError, EnvironmentFailedError
from understudy.protocols import Observation, Task

TASK = task_of(HEAT, "by-hand")


def told(observation: Observation) -> Tally:
    found = observation.info[TALLY]
    assert isinstance(found, Tally)
    return found


def test_an_episode_is_a_world_with_the_task_in_every_scene() -> None:
    world = Household()
    assert isinstance(world, World)
    first = world.reset(TASK, 0)
    assert first.observation.startswith("You are in the middle of a room.") and not first.done and first.won is None
    second = world.step("go to fridge 1")
    assert first.goal == second.goal == "heat a apple and put it in the fridge"
    assert second.info == {"kind": "heat"} and second.admissible[-1] == "open fridge 1" and second.reward == 0.0


def test_winning_ends_it_with_ten() -> None:
    played = demonstrate(TASK)
    assert (played.last.reward, played.last.done, played.last.won) == (10.0, True, True)
    assert all(move.scene.reward == 0.0 and not move.scene.done for move in played.moves)


def test_a_world_starts_again_clean() -> None:
    world = Household()
    first = world.reset(TASK, 0)
    world.step("go to countertop 1")
    world.step("take apple 1 from countertop 1")
    assert world.reset(TASK, 1) == first


def test_a_step_before_the_first_reset_is_refused() -> None:
    with pytest.raises(EnvironmentFailedError, match="Call reset first"):
        Household().step("look")


def test_a_task_that_is_no_game_is_the_users_to_mend() -> None:
    with pytest.raises(DataError, match="a household task has no kind"):
        Household().reset(Task("x", "", {"question": "?"}), 0)


def test_replies_that_cannot_be_used_cost_and_are_counted() -> None:
    agent = Agent(Household(), manner("full"))
    agent.reset(TASK, 0)
    seen = [
        agent.step("go to fridge 1"),
        agent.step("<think>fly</think><action>fly to the moon</action>"),
        agent.step("<think>cold</think><action>GO TO  fridge 1</action>"),
    ]
    assert [one.reward for one in seen] == pytest.approx([-0.1, -0.1, 0.0])
    assert (told(seen[-1]).malformed, told(seen[-1]).inadmissible) == (1, 1)
    assert "Nothing happens." in str(seen[1].prompt) and "The fridge 1 is closed." in str(seen[2].prompt)


@pytest.mark.parametrize("size", ["full", "tiny"])
@pytest.mark.parametrize("style", ["fresh", "growing"])
def test_the_experts_words_win_in_every_manner(size: Size, style: str) -> None:
    for task in tasks("valid_unseen", 6, 3):
        agent = Agent(Household(), manner(size, style=style))  # type: ignore[arg-type]
        seen = agent.reset(task, 0)
        for move in demonstrate(task).moves:
            said = spoken(move.action) if size == "tiny" else f"<think>so</think><action>{move.action}</action>"
            seen = agent.step(said)
            assert seen.style == style
        assert seen.done and seen.correct is True and seen.reward == 10.0 and told(seen).penalties == 0.0
        assert told(seen).world == {"kind": task.columns["kind"]}
