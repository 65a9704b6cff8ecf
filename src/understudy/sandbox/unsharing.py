"""A program of its own: makes new namespaces with a file system in them, and runs a command there as process 1.

It needs Linux 5.12 (``mount_setattr``) and the right to make namespaces: root, or user namespaces for everybody.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from collections.abc import Mapping
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_NEW_MOUNTS, _NEW_CGROUP, _NEW_NAMES, _NEW_IPC, _NEW_USER, _NEW_PROCESSES, _NEW_NETWORK = (
    *(0x00020000, 0x02000000, 0x04000000, 0x08000000),
    *(0x10000000, 0x20000000, 0x40000000),
)
_READ_ONLY, _NO_SET_USER, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8
_REMOUNT, _BIND, _RECURSIVE, _SLAVE = 32, 4096, 16384, 1 << 19
_DETACH = 2
_MOUNT_SETATTR, _PIVOT_ROOT = 442, {"x86_64": 155}.get(os.uname().machine, 41)
_HERE, _OF_THE_TREE = -100, 0x8000
_USER = 1000
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LOOPBACK_FLAGS, _SET_FLAGS, _UP = b"lo", 0x8914, 1


def main() -> None:
    """Do what the first argument says, run the command after it, and end when it has."""
    plan, command = json.loads(sys.argv[1]), sys.argv[2:]
    unshare(
        _NEW_MOUNTS | _NEW_CGROUP | _NEW_NAMES | _NEW_IPC | _NEW_PROCESSES | _NEW_NETWORK, new_user=plan["new_user"]
    )
    child = os.fork()
    if child == 0:
        try:
            die_with_parent()
            raise_loopback()
            socket.sethostname("sandbox")
            set_the_stage(plan)
            os.execve(command[0], command, plan["environment"])
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        os._exit(1)
    for number in range(3, 256):
        try:
            os.close(number)
        except OSError:
            continue
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0)


def unshare(flags: int, *, new_user: bool) -> None:
    """Leave the namespaces one is in; who has no right to leaves the user namespace too."""
    user, group = os.geteuid(), os.getegid()
    _checked("unshare", _libc.unshare(flags | (_NEW_USER if new_user else 0)))
    if new_user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{_USER} {user} 1"), ("gid_map", f"{_USER} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def set_the_stage(plan: Mapping[str, Any]) -> None:
    """Build the new root on a small memory file system, and leave the old one."""
    mount("none", "/", flags=_RECURSIVE | _SLAVE)
    mount("tmpfs", "/tmp", kind="tmpfs", flags=_NO_SET_USER | _NO_DEVICES, data="size=1m,mode=755")
    for name in ("/tmp/old", "/tmp/new"):
        os.mkdir(name)
    mount("/tmp/new", "/tmp/new", flags=_BIND)
    pivot("/tmp", "/tmp/old")
    scratch = f"size={int(plan['scratch_bytes'])},mode=1777"
    make_devices()
    for name in ("/new/tmp", "/new/dev/shm"):
        os.makedirs(name, exist_ok=True)
        mount("tmpfs", name, kind="tmpfs", flags=_NO_SET_USER | _NO_DEVICES, data=scratch)
    os.mkdir("/new/proc")
    mount("proc", "/new/proc", kind="proc", flags=_NO_SET_USER | _NO_DEVICES | _NO_PROGRAMS)
    for name in filter(os.path.isdir, ("/new/proc/sys", "/new/proc/irq", "/new/proc/bus")):
        mount(name, name, flags=_BIND | _RECURSIVE)
        restrict(name, _READ_ONLY)
    for place in plan["places"]:
        show(place)
    pivot("/new", "/new/tmp")
    _checked("umount2", _libc.umount2(b"/tmp", _DETACH))
    # the memory file system itself: nothing may be added beside what is shown
    mount("none", "/", flags=_REMOUNT | _BIND | _READ_ONLY | _NO_SET_USER | _NO_DEVICES)
    os.chdir(plan["folder"])


def show(place: Mapping[str, str]) -> None:
    """One place of the old root in the new one."""
    source, target = "/old" + place["source"], "/new" + place["target"]
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if place["kind"] == "link":
        os.symlink(place["source"], target)
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    mount(source, target, flags=_BIND | _RECURSIVE)
    restrict(target, _NO_SET_USER | _NO_DEVICES | (_READ_ONLY if place["kind"] == "read" else 0))


def make_devices() -> None:
    """The few that every program may have."""
    os.mkdir("/new/dev")
    for name in _DEVICES:
        target = f"/new/dev/{name}"
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
        mount(f"/old/dev/{name}", target, flags=_BIND)
    for name, aim in (("fd", "self/fd"), ("stdin", "self/fd/0"), ("stdout", "self/fd/1"), ("stderr", "self/fd/2")):
        os.symlink(f"/proc/{aim}", f"/new/dev/{name}")


def raise_loopback() -> None:
    """Programs may speak to themselves over the network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", _LOOPBACK_FLAGS, _UP))


def die_with_parent() -> None:
    """Be killed when the parent is."""
    _checked("prctl", _libc.prctl(1, 9, 0, 0, 0))


def mount(source: str, target: str, *, kind: str = "none", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    found = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode() or None)
    _checked(f"mount {target}", found)


def pivot(new: str, old: str) -> None:
    """Make ``new`` the root, with the former root at ``old``."""
    _checked("pivot_root", _libc.syscall(_PIVOT_ROOT, new.encode(), old.encode()))
    os.chdir("/")


def restrict(target: str, attributes: int) -> None:
    """Add attributes to a mount and to all below it."""
    record = struct.pack("=QQQQ", attributes, 0, 0, 0)
    arguments = (_HERE, target.encode(), _OF_THE_TREE, record, ctypes.c_size_t(len(record)))
    _checked(f"mount_setattr {target}", _libc.syscall(_MOUNT_SETATTR, *arguments))


def _checked(what: str, answer: int) -> None:
    if answer:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    main()
