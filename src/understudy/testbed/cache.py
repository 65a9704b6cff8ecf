"""A cache of folders that are dear to make: each appears whole or not at all."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from understudy.written_whole import AGAIN, refused_by_disk

STALE_SECONDS = 24 * 3600.0


def cached_folder(target: Path, *, make: Callable[[Path], None], is_whole: Callable[[Path], bool]) -> Path:
    """``target``, made by ``make`` where it is not there yet.

    The folder is made beside and renamed: a killed process leaves nothing under ``target``, and of two processes that
    make it at once, one's work is taken and the other's dropped. A folder that is not whole is made anew.

    Args:
        target: the folder. make: fills an empty folder. is_whole: whether a folder holds all it should.
    Raises:
        DiskError: it cannot be written.
    """
    if is_whole(target):
        return target
    with refused_by_disk(target, remedy=AGAIN):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        with _beside(target) as beside:
            make(beside)
            _put_in_place(beside, target, is_whole)
    return target


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty folder, held open and locked while this process lives: one that nobody holds has lost its maker."""
    folder, held = _held(target)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _held(target: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{_prefix(target)}{_here()}.", dir=target.parent))
        with suppress(FileNotFoundError):  # swept before it was held
            held = os.open(folder, os.O_RDONLY)
            if _locks(held) is not False and folder.exists():
                return folder, held
            os.close(held)


def _locks(descriptor: int) -> bool | None:
    """Whether a folder is ours from now on; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _put_in_place(beside: Path, target: Path, is_whole: Callable[[Path], bool]) -> None:
    if target.exists() and not is_whole(target):
        with _beside(target) as broken:
            target.rename(broken / "broken")
    try:
        beside.rename(target)
    except OSError:
        if not is_whole(target):  # otherwise another process was first, and its folder is as good
            raise
    else:
        target.chmod(0o755)  # mkdtemp's folders are private


def _sweep(target: Path) -> None:
    """Remove what killed processes left behind: here what nobody holds, of other machines what is a day old."""
    for left in target.parent.glob(f"{_prefix(target)}*"):
        with suppress(FileNotFoundError):  # whoever makes it may have put it in place meanwhile
            held = os.open(left, os.O_RDONLY)
            is_ours = left.name.startswith(f"{_prefix(target)}{_here()}.")
            is_stale = time.time() - left.stat().st_mtime > STALE_SECONDS
            if is_stale or (is_ours and _locks(held)):
                shutil.rmtree(left, ignore_errors=True)
            os.close(held)


def _prefix(target: Path) -> str:
    return f".{target.name}."


def _here() -> str:
    """Locks may not be seen by other machines, so that theirs are left alone until they are stale."""
    return platform.node()
