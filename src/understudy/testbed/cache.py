"""A cache of folders that are dear to make: each appears whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

STALE_SECONDS = 24 * 3600.0


def cached_folder(target: Path, *, make: Callable[[Path], None], is_whole: Callable[[Path], bool]) -> Path:
    """``target``, made by ``make`` where it is not there yet.

    The folder is made beside and renamed: a killed process leaves nothing under ``target``, and of two processes that
    make it at once, one's work is taken and the other's dropped. A folder that is not whole is made anew.

    Args:
        target: the folder. make: fills an empty folder. is_whole: whether a folder holds all it should.
    """
    if is_whole(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        make(beside)
        _put_in_place(beside, target, is_whole)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _put_in_place(beside: Path, target: Path, is_whole: Callable[[Path], bool]) -> None:
    if target.exists() and not is_whole(target):
        broken = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        target.rename(broken / "broken")
        shutil.rmtree(broken, ignore_errors=True)
    try:
        beside.rename(target)
    except OSError:
        if not is_whole(target):  # otherwise another process was first, and its folder is as good
            raise
    else:
        target.chmod(0o755)  # mkdtemp's folders are private


def _sweep(target: Path) -> None:
    """Remove what killed processes left behind a day ago or more."""
    for left in target.parent.glob(f".{target.name}.*"):
        with suppress(FileNotFoundError):  # whoever makes it may have put it in place meanwhile
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
