"""The near side of a pool of worker processes: hands jobs over, and gives back what came of each.

One supervisor process (``supervisor.py``) loads what the jobs need once and forks the workers from itself, so that a
worker that hangs is killed and replaced within milliseconds. The supervisor ends when this process does, however that
happens, and takes its workers along.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Literal

from understudy.errors import UnderstudyError

Kind = Literal["mathematics", "function", "template", "pdf", "office"]
"""What a pool can do: each is a file ``<kind>_job.py`` beside this one."""

_FOLDER = Path(__file__).parent
_MOST_WORKERS = 8
_PATIENCE_SECONDS = 2.0


class OvertimeError(UnderstudyError):
    """A job did not end by its deadline; its process was killed."""


class JobFailedError(UnderstudyError):
    """A job raised an error, or its process died; ``got`` says how."""


class LostJobError(JobFailedError):
    """The whole pool ended while a job was under way, for a reason that may have been another's."""


class RefusedError(UnderstudyError):
    """No worker can begin: what the jobs need cannot be loaded; ``got`` says why."""


class Workers:
    """Worker processes for one kind of job, started at the first job and kept.

    Args:
        kind: of job. options: told to every worker. seconds: a job's deadline.
        memory_bytes: a worker may take so much beyond what it starts with; None sets no bound.
        num_workers: at most so many at a time; None takes the number of cores.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        options: Mapping[str, object] | None = None,
        seconds: float,
        memory_bytes: int | None = None,
        num_workers: int | None = None,
    ) -> None:
        count = num_workers or min(os.cpu_count() or 1, _MOST_WORKERS)
        self._settings = {
            "job": str(_FOLDER / f"{kind}_job.py"),
            "options": dict(options or {}),
            "seconds": seconds,
            "memory_bytes": memory_bytes,
            "num_workers": count,
            "path": list(sys.path),
        }
        self._lock = threading.Lock()
        self._supervisor: _Supervisor | None = None

    def submit(self, payload: object) -> Future[Any]:
        """Hand a job over; the future gives its result as JSON holds it.

        The future raises OvertimeError, JobFailedError or RefusedError.
        """
        line = json.dumps(payload, default=str)
        with self._lock:
            supervisor = self._supervisor
            if supervisor is None or not supervisor.is_fit():
                if supervisor is not None:
                    supervisor.close()
                supervisor = self._supervisor = _Supervisor(self._settings)
                atexit.register(supervisor.close)
            return supervisor.submit(line)

    def run(self, payload: object) -> Any:
        """The result of one job; raises as ``submit``'s future does."""
        return self.submit(payload).result()

    def close(self) -> None:
        """End all processes; jobs under way fail. The next job starts new ones."""
        with self._lock:
            if self._supervisor is not None:
                self._supervisor.close()
                self._supervisor = None


class _Supervisor:
    """The process that has the workers, and the jobs it was given."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._owner = os.getpid()
        self._pending: dict[int, Future[Any]] = {}
        self._lock = threading.Lock()
        self._count, self._seconds = 0, settings["seconds"]
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_FOLDER / "supervisor.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process alone
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._send(json.dumps(settings))
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def is_fit(self) -> bool:
        """Whether it takes jobs: it lives, and was started by this process, not by one that forked it."""
        return self._owner == os.getpid() and self._process.poll() is None and self._reader.is_alive()

    def submit(self, line: str) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._count += 1
            number = self._count
            self._pending[number] = future
        try:
            self._send(f"[{number}, {line}]")
        except OSError:
            self._lose()
        return future

    def close(self) -> None:
        if self._owner != os.getpid():
            return
        with suppress(OSError):
            self._stream().close()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if threading.current_thread() is not self._reader:
            self._reader.join(_PATIENCE_SECONDS)
        atexit.unregister(self.close)

    def _stream(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _send(self, line: str) -> None:
        self._stream().write(line.encode() + b"\n")
        self._stream().flush()

    def _read(self, lines: IO[bytes]) -> None:
        with suppress(ValueError, OSError):
            for line in lines:
                number, outcome, value = json.loads(line)
                with self._lock:
                    future = self._pending.pop(number, None)
                if future is not None:  # given up where a later job could not be handed over
                    self._settle(future, outcome, value)
        self._lose()

    def _settle(self, future: Future[Any], outcome: str, value: Any) -> None:
        if outcome == "done":
            future.set_result(value)
        elif outcome == "overtime":
            future.set_exception(OvertimeError("a job did not end in time", got=f"more than {self._seconds:g} s"))
        elif outcome == "refused":
            future.set_exception(RefusedError("a worker cannot begin", got=value))
        else:
            future.set_exception(JobFailedError("a job failed", got=value))

    def _lose(self) -> None:
        """The process is gone: so is every job it had."""
        with self._lock:
            lost, self._pending = list(self._pending.values()), {}
        for future in lost:
            future.set_exception(LostJobError("a job failed", got="its process ended"))


_shared: dict[str, Workers] = {}


def shared(
    kind: Kind, *, options: Mapping[str, object] | None = None, seconds: float, memory_bytes: int | None = None
) -> Workers:
    """The workers of this process for such jobs; whoever asks for the same gets the same."""
    key = json.dumps([kind, options, seconds, memory_bytes], sort_keys=True)
    # Of two threads that come first, one's is kept; nothing has been started yet.
    return _shared.setdefault(key, Workers(kind, options=options, seconds=seconds, memory_bytes=memory_bytes))
