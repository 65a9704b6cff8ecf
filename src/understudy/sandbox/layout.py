"""What a program sees: a file system of its own, in which it may write one folder, ``/tmp`` and ``/dev/shm``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

WORKSPACE = "/workspace"
"""Where the folder is, seen from inside: the same in every run, so that what a program prints is too."""

GATE = "/.gate"
_INSIDE = Path(__file__).parent / "inside"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/fonts",
    "/etc/libreoffice",
)
"""Of ``/etc`` only what libraries need: no passwords, no keys, no host names."""


@dataclass(frozen=True)
class Place:
    """One mount or link of the program's file system.

    Args:
        kind: ``read`` and ``write`` show ``source`` of the host, ``link`` is a symbolic link to it.
        target: where, inside.
    """

    kind: Literal["read", "write", "link"]
    source: str
    target: str


def interpreter() -> str:
    """The Python that runs this process, without its virtual environment; visible inside at the same path."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def environment() -> dict[str, str]:
    """All variables a program gets: none of this process's own."""
    return {
        "PATH": ":".join(dict.fromkeys([str(Path(interpreter()).parent), "/usr/local/bin", "/usr/bin", "/bin"])),
        "HOME": "/tmp",
        "USER": "user",
        "LOGNAME": "user",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
    }


def places(folder: Path, readable: Sequence[Path]) -> list[Place]:
    """All of the host that is visible, in the order in which it is mounted."""
    shown = [*_system(), *_read_only([*map(Path, _SETTINGS), *_python(), *readable])]
    inside = f"{GATE}/understudy/sandbox/inside"
    return [*shown, Place("read", str(_INSIDE), inside), Place("write", str(folder.resolve()), WORKSPACE)]


def _system() -> Iterator[Place]:
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            yield Place("link", str(path.readlink()), name)
        elif path.is_dir():
            yield Place("read", os.path.realpath(name), name)


def _python() -> list[Path]:
    return [Path(sys.base_prefix), Path(sys.base_exec_prefix), Path(interpreter()).parents[1]]


def _read_only(paths: Iterable[Path]) -> Iterator[Place]:
    """Each at its own path and, where links lead there, at the path it really has; nothing twice."""
    wanted = dict.fromkeys(str(seen) for path in paths for seen in (path.absolute(), path.resolve()) if seen.exists())
    shown = list(_SYSTEM)
    for name in sorted(wanted, key=len):
        if not any(name == above or name.startswith(above + "/") for above in shown):
            shown.append(name)
            yield Place("read", os.path.realpath(name), name)
