"""The far side of a pool: run as a script of its own, it forks workers, deals jobs out, and kills what takes too long.

It imports nothing of the package and does no risky work itself, so it never hangs; the standard library is all it
needs besides the job's file. Lines in: first the settings, then ``[number, payload]``. Lines out:
``[number, "done" | "failed" | "overtime" | "refused", value]``. The end of its input ends it and all its workers.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

_START_SECONDS = 120.0
_READ_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1


@dataclass(eq=False)
class Worker:
    """A forked process. Attributes: job: the number it is at, None while it starts or waits; until: its deadline."""

    pid: int
    channel: socket.socket
    until: float
    is_ready: bool = False
    job: int | None = None
    lines: "Lines" = field(default_factory=lambda: Lines())


class Lines:
    """Bytes as they come, given back as whole lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def take(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` completes."""
        searched = len(self._rest)
        self._rest += data
        end = self._rest.rfind(b"\n", searched)
        if end < 0:
            return []
        whole = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return whole.split(b"\n")


class Supervisor:
    """Deals jobs to at most ``num_workers`` workers. Args: settings: the first line. out: descriptor of the answers."""

    def __init__(self, settings: dict[str, Any], jobs: int, out: int) -> None:
        self._settings, self._jobs, self._out = settings, jobs, out
        self._module = load(settings["job"])
        self._queue: deque[tuple[int, bytes]] = deque()
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(jobs, selectors.EVENT_READ)
        self._lines = Lines()

    def run(self, data: bytes) -> None:
        """Work until the input ends; ``data`` came after the settings."""
        self._enqueue(data)
        while True:
            self._deal()
            for key, _ in self._selector.select(self._patience()):
                if key.fd == self._jobs:
                    data = os.read(self._jobs, _READ_BYTES)
                    if not data:
                        return
                    self._enqueue(data)
                else:
                    self._hear(key.data)
            for worker in [one for one in self._workers if one.until < time.monotonic()]:
                self._overtime(worker)

    def end(self) -> None:
        """Kill all workers."""
        for worker in list(self._workers):
            self._bury(worker)

    def _enqueue(self, data: bytes) -> None:
        for line in self._lines.take(data):
            number, _, payload = line.partition(b",")
            self._queue.append((int(number[1:]), payload[:-1]))

    def _deal(self) -> None:
        for worker in self._workers:
            if self._queue and worker.is_ready and worker.job is None:
                worker.job, payload = self._queue.popleft()
                worker.until = time.monotonic() + self._settings["seconds"]
                with suppress(OSError):  # a worker that died is heard of by its channel
                    worker.channel.sendall(payload + b"\n")
        starting = sum(not worker.is_ready for worker in self._workers)
        while len(self._queue) > starting and len(self._workers) < self._settings["num_workers"]:
            self._workers.append(self._fork())
            starting += 1

    def _fork(self) -> Worker:
        near, far = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            status = 1
            with suppress(BaseException):
                near.close()
                for worker in self._workers:
                    worker.channel.close()
                for descriptor in (self._jobs, self._out):
                    os.close(descriptor)
                serve(far, self._module, self._settings)
                status = 0
            os._exit(status)
        far.close()
        worker = Worker(pid, near, until=time.monotonic() + _START_SECONDS)
        self._selector.register(near, selectors.EVENT_READ, worker)
        return worker

    def _hear(self, worker: Worker) -> None:
        try:
            data = worker.channel.recv(_READ_BYTES)
        except OSError:
            data = b""
        for line in worker.lines.take(data):
            outcome, _, value = line.partition(b" ")
            if outcome == b"ready":
                worker.is_ready, worker.until = True, float("inf")
            elif outcome == b"refused":
                self._refuse(value)
                self._bury(worker)
                return
            elif worker.job is not None:
                self._answer(worker.job, outcome.decode(), value)
                worker.job, worker.until = None, float("inf")
        if not data:
            job, was_ready = worker.job, worker.is_ready
            how = json.dumps(self._bury(worker)).encode()
            if job is not None:
                self._answer(job, "failed", how)
            elif not was_ready and self._queue:
                self._refuse(how)

    def _overtime(self, worker: Worker) -> None:
        job = worker.job
        self._bury(worker)
        if job is not None:
            self._answer(job, "overtime", b"null")
        else:
            self._refuse(json.dumps(f"it did not start within {_START_SECONDS:g} s").encode())

    def _refuse(self, why: bytes) -> None:
        while self._queue:
            self._answer(self._queue.popleft()[0], "refused", why)

    def _bury(self, worker: Worker) -> str:
        self._selector.unregister(worker.channel)
        worker.channel.close()
        self._workers.remove(worker)
        for kill in (os.killpg, os.kill):  # the group too: a job may have started processes of its own
            with suppress(OSError):
                kill(worker.pid, signal.SIGKILL)
        _, status = os.waitpid(worker.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return f"its process ended with status {code}" if code >= 0 else f"its process died of signal {-code}"

    def _answer(self, number: int, outcome: str, value: bytes) -> None:
        line = b'[%d, "%s", %s]\n' % (number, outcome.encode(), value)
        while line:
            line = line[os.write(self._out, line) :]

    def _patience(self) -> float | None:
        soonest = min((worker.until for worker in self._workers), default=float("inf"))
        return None if soonest == float("inf") else max(0.0, soonest - time.monotonic())


def serve(channel: socket.socket, module: ModuleType, settings: dict[str, Any]) -> None:
    """A worker's life: get ready, then one job after the other."""
    os.setsid()
    _die_with_parent()
    if settings["memory_bytes"] is not None:
        _bound_memory(settings["memory_bytes"])
    try:
        work = module.prepare(settings["options"])
    except BaseException as error:
        channel.sendall(b"refused " + json.dumps(described(error)).encode() + b"\n")
        return
    channel.sendall(b"ready \n")
    lines = Lines()
    while data := channel.recv(_READ_BYTES):
        for line in lines.take(data):
            channel.sendall(outcome_of(work, line) + b"\n")


def outcome_of(work: Callable[[Any], Any], payload: bytes) -> bytes:
    """``done`` or ``failed``, and the value as JSON."""
    try:
        return b"done " + json.dumps(work(json.loads(payload)), default=str).encode()
    except BaseException as error:
        return b"failed " + json.dumps(described(error)).encode()


def described(error: BaseException) -> str:
    """An error in one line."""
    try:
        text = " ".join(str(error).split())[:500]
    except Exception:  # an error whose text fails
        text = ""
    name = type(error).__name__
    return f"{name}: {text}" if text else name


def load(file: str) -> ModuleType:
    """The job's module; what it preloads, every worker has from its first moment."""
    spec = importlib.util.spec_from_file_location("job", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["job"] = module
    spec.loader.exec_module(module)
    module.preload()
    return module


def _die_with_parent() -> None:
    with suppress(Exception):  # Linux only; elsewhere the end of the channel does it between jobs
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _bound_memory(more: int) -> None:
    with suppress(OSError, ValueError):
        with open("/proc/self/statm") as file:  # noqa: PTH123
            pages = int(file.read().split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    """Keep the pipes for the jobs; what they print goes nowhere."""
    jobs, out = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    first = bytearray()
    while b"\n" not in first:
        data = os.read(jobs, _READ_BYTES)
        if not data:
            return
        first += data
    line, _, rest = bytes(first).partition(b"\n")
    settings = json.loads(line)
    sys.path[:] = settings["path"]
    supervisor = Supervisor(settings, jobs, out)
    try:
        supervisor.run(rest)
    except BrokenPipeError:
        pass  # nobody waits for answers
    finally:
        supervisor.end()


if __name__ == "__main__":
    main()
