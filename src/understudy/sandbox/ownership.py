"""Whose the files of a folder are while a sandboxed program writes there, and afterwards."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NOBODY = 65534
_CAPABILITIES = {"CHOWN": 0, "DAC_OVERRIDE": 1, "SETGID": 6, "SETUID": 7, "SYS_ADMIN": 21}
_DEEPEST = 256


def is_privileged() -> bool:
    """Whether this process is root with root's rights, which it lacks in most containers.

    Without them it makes a user namespace as every other user does.
    """
    needed = sum(1 << number for number in _CAPABILITIES.values())
    words = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return os.geteuid() == 0 and int(words["CapEff"], 16) & needed == needed


@contextmanager
def lent_to_the_sandbox(folder: Path) -> Iterator[None]:
    """While inside, the folder is the program's; afterwards its owner's, harmless and readable.

    Root's programs run as nobody, who is given the folder meanwhile, except files that have a second name elsewhere.
    Afterwards no file has a set-user-id bit, all directories can be opened, and pipes, sockets and devices are gone,
    and so is what lies deeper than 256 directories, which few programs can even delete.
    """
    before = folder.stat()
    is_root = is_privileged()
    if is_root:
        _over(folder, _lend)
    try:
        yield
    finally:
        owner = (before.st_uid, before.st_gid) if is_root else None
        os.chmod(folder, 0o700)
        _over(folder, lambda found, name, at: _tidy(found, name, at, owner=owner))
        os.chmod(folder, stat.S_IMODE(before.st_mode))


def _lend(found: os.stat_result, name: str, at: int) -> None:
    if stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1):
        os.chown(name, NOBODY, NOBODY, dir_fd=at, follow_symlinks=False)


def _tidy(found: os.stat_result, name: str, at: int, *, owner: tuple[int, int] | None) -> None:
    mode = found.st_mode
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        os.unlink(name, dir_fd=at)
        return
    if owner is not None:
        os.chown(name, *owner, dir_fd=at, follow_symlinks=False)
    if not stat.S_ISLNK(mode):
        wanted = stat.S_IMODE(mode) & 0o777 | (0o700 if stat.S_ISDIR(mode) else 0o600)
        if wanted != stat.S_IMODE(mode):
            os.chmod(name, wanted, dir_fd=at)


def _over(folder: Path, visit: Callable[[os.stat_result, str, int], None]) -> None:
    """Visit the folder and all below it, a directory before what is in it, without following a link."""
    waiting: list[tuple[str, ...]] = [()]
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        visit(os.fstat(root), ".", root)
        while waiting:
            parts = waiting.pop()
            if len(parts) > _DEEPEST:
                subprocess.run(["rm", "-rf", "--", folder.joinpath(*parts)], check=False, stderr=subprocess.DEVNULL)
                continue
            with suppress(FileNotFoundError):
                waiting += [(*parts, name) for name in _visit_one(root, parts, visit=visit)]
    finally:
        os.close(root)


def _visit_one(root: int, parts: tuple[str, ...], *, visit: Callable[[os.stat_result, str, int], None]) -> list[str]:
    """Visit what is in one directory; the names of the directories there."""
    at = os.dup(root)
    try:
        for part in parts:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        below_names = []
        for name in os.listdir(at):
            found = os.stat(name, dir_fd=at, follow_symlinks=False)
            visit(found, name, at)
            if stat.S_ISDIR(found.st_mode):
                below_names.append(name)
        return below_names
    finally:
        os.close(at)
