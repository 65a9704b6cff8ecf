"""Steps drawn before their turn: with which weights, in what order, and what becomes of errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from understudy.rollouts import FinishReason, Rollout
from understudy.training.ahead import Ahead

WAIT_SECONDS = 5.0


class Recorder:
    """A supply and a collector that note what happened, in order."""

    def __init__(self, *, fails_at: int | None = None) -> None:
        self.events: list[tuple[str, int]] = []
        self.may_draw = threading.Event()
        self.may_draw.set()
        self._fails_at = fails_at

    def keep(self, version: int) -> None:
        self.events.append(("keep", version))

    def give(self, version: int) -> None:
        self.events.append(("give", version))

    def collect(self, step: int, progress: object, **_: object) -> Sequence[Rollout]:
        assert callable(progress)
        self.events.append(("draw", step))
        while not self.may_draw.wait(0.01):
            progress(0)
        if step == self._fails_at:
            raise ZeroDivisionError(f"at step {step}")
        progress(2)
        return [Rollout(step, 0, "p", (), FinishReason.FAILED)]

    def wait_for(self, event: tuple[str, int]) -> None:
        until = time.monotonic() + WAIT_SECONDS
        while event not in self.events:
            assert time.monotonic() < until, self.events
            time.sleep(0.002)


def ahead_of(recorder: Recorder, *, steps_ahead: int = 1, total: int = 5) -> Ahead:
    return Ahead(recorder.collect, recorder, steps_ahead=steps_ahead, total_steps=total)


@pytest.mark.parametrize("steps_ahead", [1, 2])
def test_each_step_is_drawn_with_weights_of_so_many_steps_before(steps_ahead: int) -> None:
    recorder = Recorder()
    ahead = ahead_of(recorder, steps_ahead=steps_ahead)
    ahead.announce(0)
    for step in range(5):
        counts: list[int] = []
        assert [one.key for one in ahead(step, counts.append)] == [step]
        assert sum(counts) == 2
        if step + steps_ahead < 5:
            recorder.wait_for(("draw", step + steps_ahead))  # before the student has learned from this one
        assert ("draw", step + steps_ahead + 1) not in recorder.events
        ahead.announce(step + 1)
    ahead.close()
    given, by_step = -1, {}
    for what, number in recorder.events:
        given = number if what == "give" else given
        if what == "draw":
            by_step[number] = given
    assert by_step == {step: max(0, step - steps_ahead) for step in range(5)}


def test_a_resumed_run_begins_with_the_weights_it_has() -> None:
    recorder = Recorder()
    ahead = ahead_of(recorder, steps_ahead=2)
    ahead.announce(3)
    assert [one.key for one in ahead(3, lambda _: None)] == [3]
    assert [one.key for one in ahead(4, lambda _: None)] == [4]
    ahead.close()
    assert recorder.events == [("keep", 3), ("give", 3), ("draw", 3), ("draw", 4)]


def test_an_error_is_raised_where_its_step_is_asked_for() -> None:
    ahead = ahead_of(Recorder(fails_at=1))
    ahead.announce(0)
    assert ahead(0, lambda _: None)
    with pytest.raises(ZeroDivisionError, match="at step 1"):
        ahead(1, lambda _: None)
    ahead.close()


def test_whoever_waits_can_give_up_and_what_is_drawn_then_is_given_up_too() -> None:
    recorder = Recorder()
    recorder.may_draw.clear()
    ahead = ahead_of(recorder)
    ahead.announce(0)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ahead(0, stop)
    started = time.monotonic()
    ahead.close()
    assert time.monotonic() - started < WAIT_SECONDS
    assert ("draw", 1) not in recorder.events
