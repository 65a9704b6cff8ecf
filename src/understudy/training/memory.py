"""How much memory a run holds, as figures of a step."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import torch

_STATM = Path("/proc/self/statm")
_GIB = 2.0**30


def memory_figures() -> dict[str, float]:
    """``memory/resident_gib`` of the process now, its ``memory/peak_gib`` so far, ``memory/device_peak_gib`` of a GPU.

    They depend on the machine, and do not repeat on resume. A figure that the system does not tell is absent.
    """
    figures = {}
    try:
        pages = int(_STATM.read_text().split()[1])
        figures["memory/resident_gib"] = pages * os.sysconf("SC_PAGE_SIZE") / _GIB
    except (OSError, ValueError, IndexError):
        pass  # no Linux
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others KiB
    figures["memory/peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB
    if torch.cuda.is_initialized():
        figures["memory/device_peak_gib"] = torch.cuda.max_memory_allocated() / _GIB
    return figures
