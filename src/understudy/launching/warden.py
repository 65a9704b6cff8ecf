"""Stands between ``understudy launch`` and one part, so that no process outlives the launch, not even SIGKILL of it.

Run as a script of its own: ``warden.py GRACE_SECONDS PID_FILE COMMAND...``; the standard library is all it needs. Its
standard input is a pipe that launch alone holds open. The end of that pipe, or SIGTERM, asks the command to end
(SIGTERM); what is left of it and of all it started after GRACE_SECONDS is killed. SIGUSR1 kills at once. Its exit
status is the command's, 128 and the number where a signal ended it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SWEEP_SECONDS = 5.0


class Warden:
    """Runs one command. Args: command: with its arguments. grace_seconds: between SIGTERM and SIGKILL."""

    def __init__(self, command: list[str], *, grace_seconds: float) -> None:
        self._command, self._grace_seconds = command, grace_seconds
        self._until = float("inf")
        self._child: subprocess.Popen[bytes] | None = None
        self._woken, self._wake = os.pipe()
        for descriptor in (self._woken, self._wake):
            os.set_blocking(descriptor, False)

    def run(self, pid_file: Path) -> int:
        """Start the command, wait for its end or for being asked to end it; its exit status."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, self._hear)
        become_subreaper()
        try:
            child = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_parent
            )
        except OSError as error:
            print(f"{self._command[0]} cannot be started: {error.strerror}", file=sys.stderr, flush=True)
            return 127
        self._child = child
        if self._until < float("inf"):  # asked before there was anything to end
            child.terminate()
        with suppress(OSError):  # only told to others; the command runs
            pid_file.write_text(f"{child.pid}\n")
        self._wait(child)
        sweep(os.getpid(), _SWEEP_SECONDS)
        return child.returncode if child.returncode >= 0 else 128 - child.returncode

    def _wait(self, child: subprocess.Popen[bytes]) -> None:
        watched = [sys.stdin.fileno(), self._woken]
        while child.poll() is None:
            patience = self._until - time.monotonic()
            if patience <= 0:
                kill_group(child.pid)
                child.wait()
                return
            ready, _, _ = select.select(watched, [], [], min(patience, 3600.0))
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
            if watched[0] in ready and watched[0] != self._woken and not os.read(watched[0], 4096):
                watched = [self._woken]
                self._ask()

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._until = 0.0
        elif number != signal.SIGCHLD:
            self._ask()

    def _ask(self) -> None:
        """Once: a second SIGTERM means more to some programs than the first."""
        if self._until == float("inf"):
            self._until = time.monotonic() + self._grace_seconds
            if self._child is not None:
                self._child.terminate()


def become_subreaper() -> None:
    """Adopt what descendants leave behind, so that it can be found and ended; Linux only, elsewhere nothing."""
    with suppress(Exception):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _die_with_parent() -> None:
    with suppress(Exception):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """SIGKILL the process group that a command leads."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def sweep(pid: int, seconds: float) -> None:
    """Kill every descendant of ``pid``, and collect those that are its own children, for at most ``seconds``."""
    until = time.monotonic() + seconds
    while (left := descendants_of(pid)) and time.monotonic() < until:
        for one in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def descendants_of(pid: int) -> list[int]:
    """Children of ``pid``, their children, and so on, that still run; nothing where there is no ``/proc``."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            # The name of the program, in parentheses, may hold anything.
            state, parent = entry.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z" or int(parent) == pid:
                parents[int(entry.parent.name)] = int(parent)
    found: list[int] = []
    layer = {pid}
    while layer := {child for child, parent in parents.items() if parent in layer}:
        found += sorted(layer)
    return found


def main() -> None:
    """Read the arguments and run."""
    grace_seconds, pid_file, *command = sys.argv[1:]
    sys.exit(Warden(command, grace_seconds=float(grace_seconds)).run(Path(pid_file)))


if __name__ == "__main__":
    main()
