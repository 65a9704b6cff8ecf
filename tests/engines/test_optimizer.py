from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from understudy.engines.local.optimizer import OptimizerConfig, adamw, clip_by_norm, learning_rate_at


def rates(schedule: str, *, warmup: int, total: int) -> list[float]:
    settings = OptimizerConfig(learning_rate=2.0, schedule=schedule, warmup_steps=warmup)  # type: ignore[arg-type]
    return [learning_rate_at(update, settings=settings, total_updates=total) for update in range(total)]


def test_schedules_by_hand() -> None:
    assert rates("constant", warmup=4, total=6) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert rates("linear", warmup=0, total=4) == [2.0, 1.5, 1.0, 0.5]
    assert rates("cosine", warmup=1, total=5) == pytest.approx(
        [2.0, *(1 + math.cos(math.pi * x / 4) for x in range(4))]
    )


def test_no_rate_is_negative_after_the_end_or_with_a_warmup_longer_than_the_run() -> None:
    assert rates("linear", warmup=9, total=3) == pytest.approx([2 / 9, 4 / 9, 6 / 9])
    settings = OptimizerConfig(learning_rate=2.0, schedule="linear")
    assert learning_rate_at(50, settings=settings, total_updates=10) == 0.0


def test_vectors_are_not_decayed() -> None:
    matrix, vector = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    optimizer = adamw([matrix, vector], OptimizerConfig(learning_rate=0.1, weight_decay=0.5))
    matrix.grad, vector.grad = torch.zeros(2, 2), torch.zeros(2)
    optimizer.step()
    torch.testing.assert_close(matrix.data, torch.full((2, 2), 0.95))
    torch.testing.assert_close(vector.data, torch.ones(2))


def test_clipping_by_hand() -> None:
    grads = [torch.tensor([3.0]), torch.tensor([[4.0]])]
    assert float(clip_by_norm(grads, max_norm=1.0)) == pytest.approx(5.0)
    assert [float(g) for g in grads] == pytest.approx([0.6, 0.8], rel=1e-5)
    assert float(clip_by_norm(grads, max_norm=0.0)) == pytest.approx(1.0, rel=1e-5)
    assert [float(g) for g in grads] == pytest.approx([0.6, 0.8], rel=1e-5)
    small = [torch.tensor([0.3])]
    clip_by_norm(small, max_norm=1.0)
    assert float(small[0]) == pytest.approx(0.3)
