"""Reverse KL by domain, the same however the rollouts are spread over ranks."""

from __future__ import annotations

import math

import pytest
import torch

from tests.fake_world import on_ranks
from tests.training.test_metrics import S, T, rollout
from understudy.rollouts import Rollout, contexts_of
from understudy.tokens import TokenTable, batch_of
from understudy.training.divergence_metrics import domain_figures
from understudy.world import SingleProcess, World

RATIOS = {"x": [-0.5, 0.25], "y": [-1.0], "": [0.125, 0.5, -30.0]}


def rollouts_of(*names: str) -> list[Rollout]:
    return [rollout(key, [S] * len(RATIOS[name]) + [T], domain=name) for key, name in enumerate(names)]


def table_of(*names: str) -> TokenTable:
    """Tokens of the student with the log ratios of their domain, and one of a teacher that must not count."""
    rollouts = rollouts_of(*names)
    table = batch_of(rollouts, contexts_of(rollouts)).table
    student = torch.full((table.num_tokens,), -1.0)
    ratio = torch.tensor([value for name in names for value in (*RATIOS[name], 9.0)])
    return table.with_tokens(student_logprob=student, teacher_logprob=student + ratio)


def k3(ratio: float) -> float:
    return math.exp(max(ratio, -20.0)) - max(ratio, -20.0) - 1


EXPECTED = {
    **{f"kl/reverse_k1/{name or 'none'}": -sum(ratios) / len(ratios) for name, ratios in RATIOS.items()},
    **{f"kl/k3/{name or 'none'}": sum(map(k3, ratios)) / len(ratios) for name, ratios in RATIOS.items()},
    "tokens/share/x": 4 / 8,
    "tokens/share/y": 1 / 8,
    "tokens/share/none": 3 / 8,
}


def test_domains_by_hand() -> None:
    assert domain_figures(table_of("x", "y", "x", ""), world=SingleProcess()) == pytest.approx(EXPECTED)


def test_ranks_that_lack_a_domain_or_any_token_tell_the_same() -> None:
    shards = [("x",), ("",), (), ("y", "x")]

    def work(rank: int, world: World) -> dict[str, float]:
        return domain_figures(table_of(*shards[rank]), world=world, domains=["", "unused", "x", "y"])

    for figures in on_ranks(work, 4):
        assert figures == pytest.approx(EXPECTED)


def test_one_domain_has_no_figures_of_its_own() -> None:
    assert domain_figures(table_of("x", "x"), world=SingleProcess()) == {}
    assert domain_figures(table_of("x", "x"), world=SingleProcess(), domains=["x", "y"]) == {}
    plain = batch_of(rollouts_of("x", "y"), contexts_of(rollouts_of("x", "y"))).table
    assert domain_figures(plain, world=SingleProcess()) == {}, "nobody asked a teacher"
