"""Where a run stands: running, finished, stopped or failed, read from what lies in its folder."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.reports.figures import as_mapping

State = Literal["running", "finished", "stopped", "failed"]
STATES: tuple[State, ...] = ("running", "finished", "stopped", "failed")
_LOCKS = Path("/proc/locks")
_QUIET_SECONDS = 120.0
"""Where locks cannot be looked up, a run that wrote within this time is taken to be running."""


@dataclass(frozen=True)
class Standing:
    """A run's state, and a few words on why where there are any."""

    state: State
    why: str = ""


def standing_of(run: Path) -> Standing:
    """Running where a process holds the folder's lock; else by what was written last."""
    if is_held(run / ".lock"):
        return Standing("running")
    ending = _ending(run / "ending.json")
    if ending is not None:
        return ending
    if (run / "summary.json").is_file():
        return Standing("finished")
    if not _LOCKS.exists() and _age(run / "metrics.jsonl") < _QUIET_SECONDS:
        return Standing("running", "wrote a moment ago")
    return Standing("stopped", "its process is gone")


def is_held(lock: Path) -> bool:
    """Whether some process holds a lock on the file.

    It is read from the system's table: to try the lock ourselves would, for a moment, keep a starting run out.
    """
    try:
        status = lock.stat()
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return False
    # Fields: number, FLOCK, ADVISORY, WRITE, pid, major:minor:inode, start, end; of some file systems another device
    # stands there than stat gives, so that only the inode is compared.
    inodes = (line.split()[5].rpartition(":")[2] for line in lines if " FLOCK " in line and len(line.split()) > 5)
    return str(status.st_ino) in inodes


def _ending(file: Path) -> Standing | None:
    try:
        content = as_mapping(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None
    state = content.get("state")
    return Standing(state, str(content.get("why", ""))[:300]) if state in ("stopped", "failed") else None


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except OSError:
        return float("inf")
