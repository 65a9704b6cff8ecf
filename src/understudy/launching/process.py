"""A part that runs: started below its warden, its output in a file, ended with all that it started."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from understudy.errors import UnderstudyError
from understudy.launching import warden
from understudy.launching.part import Part

State = Literal["not started", "starting", "running", "ended", "failed"]
_MARK = "UNDERSTUDY_LAUNCH_PART"
_TAIL_BYTES = 16384
_PID_SECONDS = 5.0


class Process:
    """One part of one launch.

    Args:
        part: what to run. folder: of its files, ``NAME.log`` among them. grace_seconds: from SIGTERM to SIGKILL.
    Attributes:
        state: ``starting`` until somebody says that it answers. restarts: how often it was started again.
        exit_status: of its last end. log: what it wrote.
    """

    def __init__(self, part: Part, folder: Path, *, grace_seconds: float) -> None:
        self.part, self._folder, self._grace_seconds = part, folder, grace_seconds
        self.state: State = "not started"
        self.restarts = 0
        self.exit_status: int | None = None
        self.log = folder / f"{part.name}.log"
        self._pid_file = folder / f".{part.name}.pid"
        self._mark = f"{secrets.token_hex(8)}/{part.name}"
        self._warden: subprocess.Popen[bytes] | None = None
        self._began, self._is_asked = 0.0, False

    @property
    def is_alive(self) -> bool:
        """Whether anything of it runs."""
        return self._warden is not None

    @property
    def pid(self) -> int | None:
        """Of the command itself, which its warden starts; None before, and after its end."""
        with suppress(OSError, ValueError):
            return int(self._pid_file.read_text()) if self.is_alive else None
        return None

    @property
    def seconds(self) -> float:
        """Since it was last started; 0 where it does not run."""
        return time.monotonic() - self._began if self.is_alive else 0.0

    def start(self, environment: Mapping[str, str], *, more: Sequence[str] = ()) -> None:
        """Start it, with ``more`` after its command.

        Raises:
            UnderstudyError: its log cannot be written, or no process can be started.
        """
        command = [*self.part.runnable(), *more]
        script = [sys.executable, "-S", "-E", warden.__file__, str(self._grace_seconds), str(self._pid_file)]
        try:
            self._pid_file.unlink(missing_ok=True)
            with self.log.open("ab") as log:
                log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')}: {self.part.line} {' '.join(more)}\n".encode())
                log.flush()
                self._warden = subprocess.Popen(
                    [*script, *command],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**self.part.resolved(environment), _MARK: self._mark},
                    start_new_session=True,  # Ctrl-C is for the launch, which ends the parts in order
                )
        except OSError as error:
            raise UnderstudyError(f"{self.part.name} cannot be started", got=error.strerror or str(error)) from error
        self.state, self.exit_status = "starting", None
        self._began, self._is_asked = time.monotonic(), False
        # Others are told of the command's process right after this; its warden has it in a moment.
        while self.pid is None and self._warden.poll() is None and self.seconds < _PID_SECONDS:
            time.sleep(0.01)

    def poll(self) -> bool:
        """Whether it has ended since it was last asked; then nothing that it started is left."""
        if self._warden is None or (status := self._warden.poll()) is None:
            return False
        self._close()
        if status < 0:  # its warden was killed: what that one watched over is ours to end
            for pid in marked(self._mark):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        self.exit_status = status if status >= 0 else 128 - status
        self.state = "ended" if self.exit_status == 0 or self._is_asked else "failed"
        return True

    def ask(self) -> None:
        """Ask it to end; after its grace it is killed."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started, now."""
        self._send(signal.SIGUSR1)

    def last_lines(self, count: int) -> list[str]:
        """The last lines that it wrote which are not empty."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        lines = (line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("--- "))
        return list(deque(lines, maxlen=count))

    def _send(self, number: signal.Signals) -> None:
        self._is_asked = True
        if self._warden is not None:
            with suppress(ProcessLookupError):
                self._warden.send_signal(number)

    def _close(self) -> None:
        assert self._warden is not None and self._warden.stdin is not None
        self._warden.stdin.close()
        self._warden = None
        with suppress(OSError):  # the next start tells of a disk that keeps it
            self._pid_file.unlink(missing_ok=True)


def marked(mark: str) -> list[int]:
    """Processes of this user whose environment carries a part's mark; nothing where there is no ``/proc``."""
    wanted = f"{_MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in entry.read_bytes().split(b"\0"):
                found.append(int(entry.parent.name))
    return found
