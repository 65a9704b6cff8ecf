"""Figures of agents, worked out by hand."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from understudy.environments.agents import TALLY, Tally
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import TokenTable, batch_of
from understudy.training.agent_metrics import action_figures, success_figures
from understudy.world import SingleProcess


def rollout(
    key: int, domain: str, *, won: bool | None, tally: Tally | None = None, by: Origin = Origin.STUDENT
) -> Rollout:
    turn = Turn(
        prompt_ids=torch.tensor([1]),
        completion_ids=torch.tensor([2]),
        origin=torch.tensor([by]),
        behaviour_logprob=torch.tensor([-1.0]),
        weight_version=torch.tensor([0]),
        finish_reason=FinishReason.STOP,
    )
    extra = {} if tally is None else {TALLY: asdict(tally)}
    return Rollout(key, 0, "p", (turn,), FinishReason.STOP, correct=won, domain=domain, extra=extra)


def table_of(rollouts: list[Rollout]) -> TokenTable:
    return batch_of(rollouts, contexts_of(rollouts)).table


def test_actions_by_hand() -> None:
    first = Tally(steps=6, malformed=1, inadmissible=2, repeated=3, cut=1, penalties=0.3)
    second = Tally(steps=4, malformed=0, inadmissible=1, repeated=0, cut=0, penalties=0.1)
    rollouts = [
        rollout(0, "a", won=True, tally=first),
        rollout(1, "a", won=False, tally=second),
        rollout(2, "a", won=None),
    ]
    assert action_figures(rollouts) == pytest.approx(
        {
            "actions/malformed_rate": 0.1,
            "actions/inadmissible_rate": 0.3,
            "actions/invalid_rate": 0.4,
            "actions/repeated_rate": 0.3,
            "actions/mean_penalty": 0.2,
            "actions/mean_cut_observations": 0.5,
        }
    )
    assert action_figures(rollouts[2:]) == {} and action_figures([]) == {}


def test_success_by_sort_of_task_by_hand() -> None:
    rollouts = [
        rollout(0, "house/heat", won=True),
        rollout(1, "house/heat", won=False),
        rollout(2, "house/cool", won=True),
        rollout(3, "house/cool", won=False, by=Origin.TEACHER),
        rollout(4, "house/cool", won=None),
    ]
    figures = success_figures(table_of(rollouts), world=SingleProcess())
    assert figures == {"accuracy/house/heat": 0.5, "accuracy/house/cool": 1.0}
    named = success_figures(table_of(rollouts[:2]), world=SingleProcess(), domains=["house/cool", "house/heat"])
    assert named == {"accuracy/house/heat": 0.5}, "a sort of task that this step lacks has no figure"
    assert success_figures(table_of(rollouts[:2]), world=SingleProcess()) == {}
