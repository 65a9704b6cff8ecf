"""What was done in each turn stands beside it, and is counted."""

from __future__ import annotations

import pytest

from tests.environments.test_episodes import EPISODES, played
from understudy.environments.agents import Agent, Manner, Scene, plain
from understudy.models.sampling import LocalSampler
from understudy.protocols import Task
from understudy.training.agent_metrics import action_figures


class Still:
    """A world that never changes."""

    def reset(self, task: Task, seed: int) -> Scene:
        return Scene("a wall", admissible=("look",))

    def step(self, action: str) -> Scene:
        return Scene("a wall", admissible=("look",))


def test_what_was_done_stands_beside_each_turn(sampler: LocalSampler) -> None:
    """Whoever does the same before the same wall repeats itself; nothing that this student says is on offer."""
    manner = Manner(words=lambda sight: f"{sight.num_steps}", read=lambda _: plain("jump"))
    (found,) = played(sampler, lambda: Agent(Still(), manner), EPISODES[:1], max_turns=3)
    deeds = [turn.deed for turn in found.turns]
    assert all(deed is not None and deed["observation"] == "a wall" and deed["action"] == "jump" for deed in deeds)
    assert [deed and deed["repeated"] for deed in deeds] == [False, True, True]
    assert [deed and deed["inadmissible"] for deed in deeds] == [True, True, True]
    figures = action_figures([found])
    assert figures["actions/repeated_rate"] == pytest.approx(2 / 3) and figures["actions/inadmissible_rate"] == 1.0
