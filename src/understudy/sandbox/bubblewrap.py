"""The command that sets the stage by bubblewrap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from understudy.sandbox.layout import GATE, WORKSPACE, Place
from understudy.sandbox.ownership import is_privileged

USER_ID = 1000
"""Of the program, seen from inside."""

_MOUNTED = ("/tmp", "/dev", "/proc", "/usr")
_FLAGS = {"read": "--ro-bind", "write": "--bind", "link": "--symlink"}


def bubblewrap(places: Sequence[Place], *, scratch_bytes: int, command: Sequence[str]) -> list[str]:
    """``bwrap`` with all it is to do, and the gate's command after it.

    The gate is process 1 of its namespace: the kernel ends all others when it ends. Root makes no user namespace here;
    the gate leaves root, and makes its own.
    """
    if is_privileged():
        user = [word for name in ("SETUID", "SETGID") for word in ("--cap-add", f"CAP_{name}")]
    else:
        user = ["--unshare-user", "--uid", str(USER_ID), "--gid", str(USER_ID)]
    size = ["--size", str(scratch_bytes), "--perms", "1777", "--tmpfs"]
    # made by bubblewrap, they would be closed to all but root
    above = sorted({str(parent) for place in places for parent in Path(place.target).parents if str(parent) != "/"})
    folders = [word for name in above if name not in _MOUNTED for word in ("--perms", "0755", "--dir", name)]
    mounts = [word for place in places for word in (_FLAGS[place.kind], place.source, place.target)]
    return [
        *("bwrap", "--die-with-parent", "--as-pid-1", "--clearenv"),
        *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *("--hostname", "sandbox"),
        *user,
        *("--proc", "/proc", "--dev", "/dev", *size, "/dev/shm", *size, "/tmp"),
        *folders,
        *mounts,
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORKSPACE, "--setenv", "PYTHONPATH", GATE),
        "--",
        *command,
    ]
