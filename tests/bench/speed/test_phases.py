from __future__ import annotations

import pytest
import torch
from torch import nn

from understudy.bench.speed import phases as module
from understudy.bench.speed.phases import PHASES, Phases


class Ticks:
    """A clock that stands still but for what it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def ticks(monkeypatch) -> Ticks:
    ticks = Ticks()
    monkeypatch.setattr(module.time, "perf_counter", ticks)
    return ticks


def test_a_phase_leaves_out_what_is_inside_it(ticks):
    phases = Phases()

    def loss() -> None:
        ticks.pass_by(2)
        phases.timed("forward", ticks.pass_by)(3)
        ticks.pass_by(4)

    with phases.step():
        ticks.pass_by(1)
        phases.timed("loss", loss)()
        ticks.pass_by(5)
    (step,) = phases.steps
    expected = {**dict.fromkeys(PHASES, 0.0), "rest": 6, "loss": 6, "forward": 3, "total": 15}
    assert step == expected


def test_a_phase_ends_with_its_error_and_nothing_is_counted_outside_a_step(ticks):
    phases = Phases()

    def fails() -> None:
        ticks.pass_by(1)
        raise ZeroDivisionError

    phases.timed("teacher", ticks.pass_by)(7)
    with phases.step():
        with pytest.raises(ZeroDivisionError):
            phases.timed("teacher", fails)()
        ticks.pass_by(2)
    assert phases.steps[0]["teacher"] == 1 and phases.steps[0]["rest"] == 2


def test_a_module_is_booked_where_a_gradient_is_recorded(ticks):
    class Slow(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            ticks.pass_by(3)
            return x

    phases, layer = Phases(), Slow()
    phases.watch_module("forward", layer, only_training=True)
    with phases.step():
        layer(torch.ones(1))
        with torch.no_grad():
            layer(torch.ones(1))
    assert phases.steps[0]["forward"] == 3 and phases.steps[0]["rest"] == 3


def test_a_watcher_hears_of_the_first_step_before_and_of_every_step_after(ticks):
    heard: list[object] = []
    phases = Phases(on_first_step=lambda: heard.append("first"), on_step=heard.append)
    for _ in range(2):
        with phases.step():
            pass
    assert heard == ["first", 1, 2]
