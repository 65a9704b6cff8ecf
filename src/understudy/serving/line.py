"""The waiting line: who goes through the model next, and with whom."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

from understudy.serving.jobs import Job, Kind, Sampled, SampleJob, ScoreJob
from understudy.serving.refusal import Refusal, unavailable

PauseMode = Literal["abort", "wait", "keep"]

# After a batch of several, its clients are about to send again; to wait a little for them is worth a tenth of a batch.
_PATIENCE_SHARE, _PATIENCE_SECONDS = 0.1, 0.01
# A burst of prompts arrives over some milliseconds, and a completion takes far longer than that.
_QUIET_SECONDS, _BURST_SECONDS = 0.004, 0.04


@dataclass(frozen=True, eq=False)
class Task:
    """Something to do between two batches, on the thread that owns the model."""

    run: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


@dataclass(eq=False)
class _Lane:
    """The jobs of one kind.

    Args:
        most: total size of a batch. expected: jobs in the last batch. seconds: what it took.
        newest: when the last job came.
    """

    most: int
    jobs: deque[Job] = field(default_factory=deque)
    expected: int = 1
    seconds: float = 0.0
    newest: float = 0.0


class Line:
    """Jobs and tasks in the order of their coming; every method may be called from any thread.

    Args:
        max_waiting: jobs that may wait. batch_tokens, batch_rows: size of a batch of scores, of completions.
    """

    def __init__(self, *, max_waiting: int, batch_tokens: int, batch_rows: int) -> None:
        self._lanes: dict[Kind, _Lane] = {"score": _Lane(batch_tokens), "sample": _Lane(batch_rows)}
        self._tasks: deque[Task] = deque()
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._last: Kind = "sample"
        self._running: Sequence[Job] = ()
        self._paused: PauseMode | None = None
        self._closed = False
        self.abort_running = False

    @property
    def is_paused(self) -> bool:
        """Whether ``resume`` is awaited."""
        return self._paused is not None

    def waiting(self, kind: Kind) -> int:
        """Jobs of a kind that nobody has begun."""
        return len(self._lanes[kind].jobs)

    @property
    def num_running(self) -> int:
        """Jobs of the batch that runs; scores that cut in are not counted."""
        return len(self._running)

    def add(self, job: Job) -> None:
        """Let a job wait; raises Refusal (503) where the line is full, paused, or closed."""
        with self._changed:
            if self._closed:
                raise unavailable("the server is stopping", retry_after_seconds=5)
            if self._paused in ("abort", "wait"):
                raise unavailable("the server is paused")
            if sum(len(lane.jobs) for lane in self._lanes.values()) >= self._max_waiting:
                self._drop_gone()
            if sum(len(lane.jobs) for lane in self._lanes.values()) >= self._max_waiting:
                raise unavailable(f"{self._max_waiting} requests wait already")
            lane = self._lanes["score" if isinstance(job, ScoreJob) else "sample"]
            lane.jobs.append(job)
            lane.newest = time.monotonic()
            self._changed.notify_all()

    def do(self, run: Callable[[], Any]) -> Future[Any]:
        """Have something done between two batches, also while paused."""
        task = Task(run)
        with self._changed:
            if self._closed:
                raise unavailable("the server is stopping", retry_after_seconds=5)
            self._tasks.append(task)
            self._changed.notify_all()
        return task.future

    def next(self) -> Task | list[Job] | None:
        """What the model does next, awaited; None when the line is closed. The batch before is over."""
        with self._changed:
            self._running, self.abort_running = (), False
            self._changed.notify_all()
            while True:
                if self._tasks:
                    return self._tasks.popleft()
                if self._closed:
                    return None
                rests = self._rests_by_kind()
                ready = next((kind for kind, rest in rests.items() if rest <= 0), None)
                if ready is None:
                    self._changed.wait(min(rests.values(), default=None))
                elif batch := self._take(ready):
                    self._running, self._last = batch, ready
                    return batch

    def cut_in(self) -> list[Job]:
        """Scores that may go through the model between two steps of a decode; empty when none wait."""
        with self._changed:
            return [] if self._paused == "keep" else self._take("score")

    def took(self, kind: Kind, *, jobs: int, seconds: float) -> None:
        """Note what a batch cost, for the patience before the next."""
        lane = self._lanes[kind]
        lane.expected, lane.seconds = jobs, seconds

    def pause(self, mode: PauseMode) -> None:
        """Stop: ``wait`` for what has come, ``abort`` it, or ``keep`` it waiting; returns once the model rests."""
        with self._changed:
            self._paused = mode
            if mode == "abort":
                self.abort_running = bool(self._running)
                self._abort_waiting()
            self._changed.notify_all()
            while self._paused == mode and not self._closed and not self._is_idle(mode):
                self._changed.wait(0.5)

    def resume(self) -> None:
        """Go on after ``pause``."""
        with self._changed:
            self._paused = None
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse all who wait and all who come; what runs ends as it would."""
        with self._changed:
            self._closed = True
            for lane in self._lanes.values():
                _fail(lane.jobs, unavailable("the server is stopping", retry_after_seconds=5))
                lane.jobs.clear()
            self._changed.notify_all()

    def _is_idle(self, mode: PauseMode) -> bool:
        waiting = mode != "keep" and any(lane.jobs for lane in self._lanes.values())
        return not self._running and not waiting

    def _rests_by_kind(self) -> dict[Kind, float]:
        """Seconds that each kind of waiting job still waits for company; the kind whose turn it is comes first."""
        if self._paused == "keep":
            return {}
        other: Kind = "sample" if self._last == "score" else "score"
        return {kind: self._rest(self._lanes[kind], kind) for kind in (other, self._last) if self._lanes[kind].jobs}

    def _rest(self, lane: _Lane, kind: Kind) -> float:
        """0 or less for a lone score, and for a batch that is full."""
        if sum(job.size for job in lane.jobs) >= lane.most:
            return 0.0
        quiet = time.monotonic() - lane.newest
        rest = 0.0
        if len(lane.jobs) < lane.expected:
            rest = min(_PATIENCE_SECONDS, _PATIENCE_SHARE * lane.seconds) - quiet
        if kind == "sample":
            rest = min(max(rest, _QUIET_SECONDS - quiet), _BURST_SECONDS - (time.monotonic() - lane.jobs[0].came))
        return rest

    def _take(self, kind: Kind) -> list[Job]:
        """The oldest job and those behind it that may go with it."""
        lane = self._lanes[kind]
        batch: list[Job] = []
        rest: deque[Job] = deque()
        size = 0
        for job in lane.jobs:
            fits = not batch or (job.key == batch[0].key and size + job.size <= lane.most)
            if not fits:
                rest.append(job)
            elif not job.gone and job.future.set_running_or_notify_cancel():
                batch.append(job)
                size += job.size
        lane.jobs = rest
        return batch

    def _drop_gone(self) -> None:
        for lane in self._lanes.values():
            lane.jobs = deque(job for job in lane.jobs if not (job.gone or job.future.cancelled()))

    def _abort_waiting(self) -> None:
        scores, samples = self._lanes["score"], self._lanes["sample"]
        _fail(scores.jobs, unavailable("the server is paused"))
        for job in samples.jobs:
            if isinstance(job, SampleJob) and job.future.set_running_or_notify_cancel():
                job.future.set_result(Sampled((), version="", aborted=True))
        scores.jobs.clear()
        samples.jobs.clear()


def _fail(jobs: Sequence[Job] | deque[Job], refusal: Refusal) -> None:
    for job in jobs:
        if job.future.set_running_or_notify_cancel():
            job.future.set_exception(refusal)
