"""What a program may use, and what is known once it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from understudy.errors import UserMistakeError

Ended = Literal["exit", "signal", "deadline", "limit"]
"""How a program ended: by itself, by a signal, by the wall clock, or because it used too much."""

Reason = Literal["", "cpu", "memory", "processes", "disk", "files", "output", "hidden"]
"""Which limit a program ran into; empty where it ran into none. ``hidden``: it could not be measured, perhaps by its
own doing."""


class SandboxUnavailableError(UserMistakeError):
    """This machine has no means to isolate a program, so that code written by a model does not run."""


@dataclass(frozen=True)
class Limits:
    """The most that a program and all processes it starts may use together, where nothing else is said.

    Args:
        wall_seconds: from its start to its end. cpu_seconds: of all its processes.
        memory_bytes: resident memory of all its processes; each may also map no more than this.
        num_processes: at one time, threads counted.
        file_bytes: of one file, and of all that stands in ``/tmp`` and in ``/dev/shm``, each.
        output_bytes: of stdout and of stderr that are kept, each: what is longer is cut in the middle. One that writes
            1,024 times as much is ended.
        folder_bytes: of all files in the folder, deleted ones that are still open among them.
        num_files: in the folder, directories counted.
    """

    wall_seconds: float = 10.0
    cpu_seconds: float = 10.0
    memory_bytes: int = 1 << 30
    num_processes: int = 32
    file_bytes: int = 64 << 20
    output_bytes: int = 64 << 10
    folder_bytes: int = 512 << 20
    num_files: int = 20_000


@dataclass(frozen=True)
class Outcome:
    """What came of a program.

    Args:
        exit_status: its own, where it ended by itself; 126 or 127 where it could not be started, as in a shell.
        stdout, stderr: what it wrote, UTF-8 with replacements, cut in the middle beyond ``output_bytes``.
        seconds: wall clock, from its start to its end.
        ended: how. reason: the limit it ran into.
    """

    exit_status: int | None
    stdout: str
    stderr: str
    seconds: float
    ended: Ended
    reason: Reason = ""
