"""Resident memory of this process, in MiB. TRL's Python runs this file too."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path

_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak_memory() -> float:
    """Let the peak start again from what the process holds now, which is returned.

    Where the system cannot forget, later peaks are those of the whole process.
    """
    with contextlib.suppress(OSError):
        _FORGET.write_text("5")
    return _status("VmRSS")


def peak_memory() -> float:
    """Most resident memory since ``forget_peak_memory``."""
    return _status("VmHWM")


def _status(field: str) -> float:
    if not _STATUS.exists():  # no Linux: the process's peak, in bytes on a Mac
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
