"""Whether a process of a sandbox is left."""

from __future__ import annotations

import contextlib
from pathlib import Path


def has_mounted(folder: Path) -> bool:
    """Whether a process has the folder mounted, as only those in its sandbox had."""
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            if f"{folder} /workspace" in path.read_text():
                return True
    return False
