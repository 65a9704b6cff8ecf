"""Where the package keeps what it made for later runs."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """``UNDERSTUDY_HOME``, by default ``~/.cache/understudy``."""
    return Path(os.environ.get("UNDERSTUDY_HOME") or "~/.cache/understudy").expanduser()
