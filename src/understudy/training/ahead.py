"""Rollouts of the steps to come, drawn on a thread of their own while the student learns from the step before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from understudy.engines.supply import Supply
from understudy.rollouts import Rollout
from understudy.training.collecting import Ended
from understudy.training.step import Collect, Progress

_LOOK_SECONDS = 0.1
_END_SECONDS = 30.0


class _ClosedError(Exception):
    """Nobody wants what is being drawn any more."""


class Ahead:
    """Implements ``Collect``: step t is drawn with the weights of step t - ``steps_ahead`` (or of the first), always.

    Which weights drew what depends on the step alone, never on the clock: a run repeats itself as far as its sampler
    does. A hand-over of weights stands between two steps of sampling, so no server draws while it is given new ones.

    Args:
        collect: draws one step; called on the thread. supply: hands weights over. steps_ahead: at least 1.
        total_steps: of the run.
    Attributes:
        ended: told of rollouts of any step as they end, on the thread; a teacher's server may begin with them.
    """

    def __init__(self, collect: Collect, supply: Supply, *, steps_ahead: int, total_steps: int) -> None:
        self._collect, self._supply = collect, supply
        self._steps_ahead, self._total_steps = steps_ahead, total_steps
        self.ended: Ended | None = None
        self._changed = threading.Condition()
        self._kept = -1
        self._drawn: dict[int, Sequence[Rollout]] = {}
        self._counts: dict[int, int] = {}
        self._error: BaseException | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def announce(self, version: int) -> None:
        """Keep the live weights, which step ``version`` begins with; the first time sampling begins."""
        self._supply.keep(version)
        with self._changed:
            self._kept = version
            self._changed.notify_all()
        if self._thread is None:
            work = threading.Thread(target=self._work, args=(version,), name="understudy-ahead", daemon=True)
            self._thread = work
            work.start()

    def __call__(self, step: int, progress: Progress, *, ended: Ended | None = None) -> Sequence[Rollout]:  # noqa: ARG002
        """The rollouts of ``step``, awaited; ``progress`` is told on the caller's thread, and may raise to give up.

        Raises:
            Whatever the drawing of this step or of one before raised.
        """
        told = 0
        while True:
            with self._changed:
                count, ready = self._counts.get(step, 0), step in self._drawn
                if not ready:
                    if self._error is not None:
                        raise self._error
                    self._changed.wait(_LOOK_SECONDS)
            progress(count - told)
            told = count
            if ready:
                self._counts.pop(step, None)
                return self._drawn.pop(step)

    def close(self) -> None:
        """Give up what nobody has asked for yet; a later session draws those steps again."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=_END_SECONDS)

    def _work(self, first: int) -> None:
        given = -1
        try:
            for step in range(first, self._total_steps):
                wanted = max(first, step - self._steps_ahead)
                self._wait_for(wanted)
                if wanted > given:
                    self._supply.give(wanted)
                    given = wanted
                rollouts = self._collect(step, self._counter(step), **self._told)
                with self._changed:
                    self._drawn[step] = rollouts
                    self._changed.notify_all()
        except _ClosedError:
            return
        except BaseException as error:  # whoever asks for this step is told
            with self._changed:
                self._error = error
                self._changed.notify_all()

    @property
    def _told(self) -> dict[str, Ended]:
        return {} if self.ended is None else {"ended": self.ended}

    def _wait_for(self, version: int) -> None:
        with self._changed:
            while self._kept < version and not self._is_closed:
                self._changed.wait()
            self._refuse_closed()

    def _counter(self, step: int) -> Callable[[int], None]:
        def count(more: int) -> None:
            with self._changed:
                self._refuse_closed()
                self._counts[step] = self._counts.get(step, 0) + more
                self._changed.notify_all()

        return count

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise _ClosedError
