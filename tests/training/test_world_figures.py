"""What worlds say of their episodes, as figures of a step."""

from __future__ import annotations

from understudy.rollouts import FinishReason, Rollout
from understudy.training.world_figures import world_figures


def rollout(key: int, world: object) -> Rollout:
    return Rollout(key, 0, f"task-{key}", (), FinishReason.STOP, extra={"agent": {"steps": 3, "world": world}})


def test_figures_named_as_metrics_are_averaged_and_the_others_stay() -> None:
    worlds = [{"office/rate": 1.0, "score": 0.5}, {"office/rate": 0, "office/late": True, "office/word": "x"}, None]
    found = world_figures([rollout(key, world) for key, world in enumerate(worlds)])
    assert found == {"office/rate": 0.5, "office/late": 1.0}


def test_rollouts_without_a_world_say_nothing() -> None:
    assert world_figures([Rollout(0, 0, "x", (), FinishReason.FAILED, extra={"agent": "text"})]) == {}
    assert world_figures([]) == {}
