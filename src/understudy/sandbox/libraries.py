"""Where this process has its packages."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from understudy.sandbox.ownership import is_privileged

_NAMES = ("site-packages", "dist-packages")


@cache
def libraries() -> tuple[Path, ...]:
    """The folders of installed packages, as ``readable`` takes them: a sandbox has this process's Python without them.

    Folders that the programs of root, which run as nobody, could not read are left out.
    """
    found = [Path(entry) for entry in sys.path if Path(entry).name in _NAMES and Path(entry).is_dir()]
    return tuple(path for path in dict.fromkeys(found) if not is_privileged() or path.stat().st_mode & 0o5 == 0o5)
