"""What stands between an agent and its world."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.environments.agents.corridor import Corridor
from understudy.environments.agents import TALLY, Agent, Manner, Sight, Tally, plain, tagged
from understudy.errors import EnvironmentFailedError
from understudy.protocols import Observation, Task


def words(sight: Sight) -> str:
    past = "".join(f"{one.observation}>{one.action};" for one in sight.history)
    return f"{sight.num_steps}|{past}|{sight.observation}|{','.join(sight.admissible)}"


MANNER = Manner(words=words, read=plain, history=2, penalty=0.5)
TASK = Task("c", "", {"length": 2})


def played(manner: Manner, *replies: str) -> list[Observation]:
    agent = Agent(Corridor(), manner)
    return [agent.reset(TASK, 3), *(agent.step(reply) for reply in replies)]


def tally(seen: list[Observation]) -> Tally:
    found = seen[-1].info[TALLY]
    assert isinstance(found, Tally)
    return found


def test_an_episode_by_hand() -> None:
    seen = played(MANNER, "forward", "forward", "open")
    assert [one.prompt for one in seen] == [
        "0||seed 1|forward",
        "1|seed 1>forward;|1 rooms to go|forward",
        "2|seed 1>forward;1 rooms to go>forward;|0 rooms to go|open",
        "",
    ]
    assert [one.reward for one in seen] == [0.0, 0.0, 0.0, 10.0]
    assert [one.done for one in seen] == [False, False, False, True] and seen[-1].correct is True
    assert tally(seen) == Tally(steps=3, won=True, world={"score": 1.0})


def test_the_window_holds_the_last_turns_only() -> None:
    seen = played(replace(MANNER, history=1), "forward", "wait")
    assert seen[-1].prompt == "2|1 rooms to go>wait;|nothing happens|forward"
    assert played(replace(MANNER, history=0), "forward")[-1].prompt == "1||1 rooms to go|forward"


def test_an_action_that_is_not_offered_costs_and_changes_nothing() -> None:
    seen = played(MANNER, "fly", "forward")
    assert [one.reward for one in seen] == [0.0, -0.5, 0.0]
    assert tally(seen).inadmissible == 1 and tally(seen).penalties == 0.5 and seen[-1].correct is False


def test_a_reply_without_an_action_does_not_reach_the_world() -> None:
    manner = replace(MANNER, read=tagged)
    seen = played(manner, "I will go forward", "<think>go</think><action>forward</action>")
    assert "no action could be read" in str(seen[1].prompt) and seen[1].reward == -0.5
    assert "I will go forward" in str(seen[2].prompt)
    assert tally(seen).malformed == 1 and tally(seen).inadmissible == 0


def test_an_action_without_thinking_is_taken_and_costs() -> None:
    seen = played(replace(MANNER, read=tagged), "<action>FORWARD</action>")
    assert "1 rooms to go" in str(seen[-1].prompt) and seen[-1].reward == -0.5 and tally(seen).malformed == 1


def test_long_observations_are_cut_and_counted() -> None:
    manner = replace(MANNER, cut=lambda text: (text[:5] + "...", True) if len(text) > 5 else (text, False))
    seen = played(manner, "forward")
    assert seen[-1].prompt == "1|seed ...>forward;|1 roo...|forward" and tally(seen).cut == 2


def test_nothing_is_done_after_the_end() -> None:
    agent = Agent(Corridor(), MANNER)
    with pytest.raises(EnvironmentFailedError):
        agent.step("forward")
    agent.reset(Task("c", "", {"length": 0}), 0)
    agent.step("open")
    with pytest.raises(EnvironmentFailedError):
        agent.step("open")
