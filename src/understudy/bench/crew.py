"""Several processes that do one job after the other, side by side; Ctrl-C lets each end its piece of work cleanly."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol, TypeVar

from understudy.errors import UnderstudyError, UserMistakeError
from understudy.training.interruption import Stop, listening


class Doable(Protocol):
    """A piece of work."""

    def do(self) -> int | None:
        """Bring it to its end; the number of the signal that cut it short, where one did."""
        ...


_Job = TypeVar("_Job", bound=Doable)


@dataclass(frozen=True)
class _Failed:
    """An error of a job as it crosses from one process to another."""

    message: str
    is_mistake: bool

    def error(self) -> UnderstudyError:
        return UserMistakeError(self.message) if self.is_mistake else UnderstudyError(self.message)


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: Doable | None = None


class InterruptedBenchError(UnderstudyError):
    """A signal ended the comparison before its time; ``exit_code`` is what shells have for that signal."""

    def __init__(self, number: int) -> None:
        super().__init__(
            "stopped before the end", remedy="What is finished is kept; the same command goes on from there."
        )
        self.exit_code = 128 + number


def work(jobs: Sequence[_Job], *, processes: int) -> Iterator[_Job]:
    """Do the jobs, so many side by side, and give each back as it is done; with one process, in this one.

    Raises:
        InterruptedBenchError: SIGINT or SIGTERM came; work under way was ended cleanly first.
        UnderstudyError: a job raised, or its process died; the others are ended cleanly first.
    """
    return _here(jobs) if processes == 1 or len(jobs) <= 1 else _apart(jobs, min(processes, len(jobs)))


def _here(jobs: Sequence[_Job]) -> Iterator[_Job]:
    for job in jobs:
        cut_short = job.do()
        if cut_short is not None:
            raise InterruptedBenchError(cut_short)
        yield job


def _apart(jobs: Sequence[_Job], processes: int) -> Iterator[_Job]:
    left = list(reversed(jobs))
    workers: list[_Worker] = []
    with listening(Stop()) as stop:
        try:
            workers += [_started() for _ in range(processes)]
            for worker in workers:
                _give(worker, left)
            while busy := [worker for worker in workers if worker.job is not None]:
                for worker in _heard(busy, stop):
                    job = _answered(worker, stop)
                    _give(worker, left)
                    yield job  # type: ignore[misc]
        finally:
            for worker in workers:
                _end(worker)


def _heard(busy: Sequence[_Worker], stop: Stop) -> list[_Worker]:
    """The workers that have something to say, once there is one."""
    while True:
        if stop.signal is not None:
            raise InterruptedBenchError(stop.signal)
        ready = wait([worker.connection for worker in busy], timeout=0.2)
        if ready:
            return [worker for worker in busy if worker.connection in ready]


def _answered(worker: _Worker, stop: Stop) -> Doable:
    job = worker.job
    assert job is not None
    try:
        answer = worker.connection.recv()
    except EOFError:
        worker.process.join(5.0)
        raise UnderstudyError(
            "the process of a run died", got=f"exit status {worker.process.exitcode}", remedy="Is there enough memory?"
        ) from None
    if isinstance(answer, _Failed):
        raise answer.error()
    if answer is not None:
        raise InterruptedBenchError(stop.signal or answer)
    worker.job = None
    return job


def _started() -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, left: list) -> None:
    if left:
        worker.job = left.pop()
        worker.connection.send(worker.job)


def _end(worker: _Worker) -> None:
    """Let it write down what it has, then end; work under way hears of it by SIGINT."""
    with suppress(OSError):
        worker.connection.send(None)
    if worker.job is not None and worker.process.is_alive() and worker.process.pid is not None:
        os.kill(worker.process.pid, signal.SIGINT)
    worker.process.join()
    worker.connection.close()


def _serve(connection: Connection) -> None:
    """Do jobs until there are no more; the terminal's own signals go to the process that hands them out."""
    with suppress(OSError):
        os.setsid()
    with suppress(EOFError, KeyboardInterrupt, OSError):
        while (job := connection.recv()) is not None:
            connection.send(_done(job))


def _done(job: Doable) -> int | _Failed | None:
    try:
        return job.do()
    except KeyboardInterrupt:
        return signal.SIGINT
    except UnderstudyError as error:
        return _Failed(str(error), isinstance(error, UserMistakeError))
    except Exception as error:
        return _Failed(f"a run failed: {type(error).__name__}: {error}", is_mistake=False)
