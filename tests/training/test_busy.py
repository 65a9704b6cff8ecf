"""The time in which no sampler runs: of a slow world, and as a figure of a step."""

from __future__ import annotations

import time
from dataclasses import replace

from tests.environments.conftest import tiny_sampler
from tests.environments.test_episodes import EPISODES, played
from tests.training import tiny_run
from understudy.environments.toy import RememberDigit
from understudy.protocols import Observation
from understudy.training.busy import Busy, TimedSampler
from understudy.training.clock import Clock
from understudy.training.metrics import figures_of
from understudy.training.step import run_step

PAUSE_SECONDS = 0.05


class Slow(RememberDigit):
    """Thinks a while before it answers."""

    def step(self, action: str) -> Observation:
        time.sleep(PAUSE_SECONDS)
        return super().step(action)


def test_what_a_slow_world_takes_is_idle_and_the_samples_are_the_same() -> None:
    sampler, busy = tiny_sampler(), Busy()
    started = time.perf_counter()
    found = played(TimedSampler(sampler, busy), Slow)
    wall = time.perf_counter() - started
    idle = busy.idle_share(0.0, wall)
    assert idle is not None and idle * wall >= PAUSE_SECONDS * 2 * len(EPISODES) * 0.99
    alone = played(sampler, RememberDigit)
    assert [[t.completion_ids.tolist() for t in r.turns] for r in found] == [
        [t.completion_ids.tolist() for t in r.turns] for r in alone
    ]


def test_a_step_tells_the_share_where_its_samplers_are_timed() -> None:
    parts = tiny_run.parts_of(2)
    busy = Busy()

    def collect(step, progress, **told):
        busy.seconds += 1e-9
        return parts.collect(step, progress, **told)

    result = run_step(replace(parts, collect=collect, busy=busy), 0, clock=Clock(), progress=lambda _: None)
    assert 0.9 < figures_of(result)["time/sampler_idle_share"] <= 1.0
    unknown = run_step(parts, 1, clock=Clock(), progress=lambda _: None)
    assert "time/sampler_idle_share" not in figures_of(unknown)
