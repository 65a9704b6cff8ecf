"""Which system calls a program may not make: those that no ordinary program makes and that reach past its limits.

A second wall: namespaces and the lack of privileges hold without it. On processors not listed here there is none.
"""

from __future__ import annotations

import errno
import os
import struct

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_FORBIDDEN = {
    # looking into, or steering, other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # new namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    # memory that belongs to no process and so is not measured
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    # doors of the kernel that are seldom used and often broken
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "quotactl": (179, 60),
    "syslog": (103, 116),
}
"""Name -> its number on x86_64 and aarch64; each answers EPERM."""

_CLONE, _CLONE3, _SOCKET, _PRCTL = (56, 220), (435, 435), (41, 198), (157, 167)
_NEW_NAMESPACE_FLAGS = 0x7E020000  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK: all stay inside their network namespace
_SET_DUMPABLE = 4
_FOREIGN_NUMBERS = 0x40000000  # x86_64 takes calls of another convention from here on

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _MACHINE, _ARGUMENT = 0, 4, 16


def instruction(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction of the filter machine; ``then`` and ``otherwise`` skip so many."""
    return struct.pack("=HBBI", code, then, otherwise, value)


def program() -> bytes | None:
    """The filter for this processor; None where the numbers of its calls are not known here."""
    machine = os.uname().machine
    if machine not in _ARCHITECTURES:
        return None
    column = list(_ARCHITECTURES).index(machine)
    load_number = instruction(_LOAD, _NUMBER)
    lines = [
        instruction(_LOAD, _MACHINE),
        instruction(_EQUAL, _ARCHITECTURES[machine], then=1),
        instruction(_RETURN, _KILL),
        load_number,
        instruction(_AT_LEAST, _FOREIGN_NUMBERS, otherwise=1),
        _refuse(errno.ENOSYS),
        # the library falls back to clone, whose flags can be read
        *_when(_CLONE3[column], [_refuse(errno.ENOSYS)]),
        *_when(_CLONE[column], _with_argument(_ANY_BIT, [_NEW_NAMESPACE_FLAGS], _refuse(errno.EPERM))),
        *_when(_PRCTL[column], _with_argument(_EQUAL, [_SET_DUMPABLE], _refuse(errno.EPERM))),
        *_when(_SOCKET[column], [*_only_families(), _refuse(errno.EAFNOSUPPORT)]),
    ]
    for numbers in _FORBIDDEN.values():
        lines += _when(numbers[column], [_refuse(errno.EPERM)])
    return b"".join([*lines, instruction(_RETURN, _ALLOW)])


def _refuse(number: int) -> bytes:
    return instruction(_RETURN, _REFUSE | number)


def _when(number: int, lines: list[bytes]) -> list[bytes]:
    return [instruction(_EQUAL, number, otherwise=len(lines)), *lines]


def _with_argument(test: int, values: list[int], answer: bytes) -> list[bytes]:
    lines = [instruction(_LOAD, _ARGUMENT)]
    for value in values:
        lines += [instruction(test, value, otherwise=1), answer]
    return [*lines, instruction(_RETURN, _ALLOW)]


def _only_families() -> list[bytes]:
    lines = [instruction(_LOAD, _ARGUMENT)]
    for family in _FAMILIES:
        lines += [instruction(_EQUAL, family, otherwise=1), instruction(_RETURN, _ALLOW)]
    return lines
