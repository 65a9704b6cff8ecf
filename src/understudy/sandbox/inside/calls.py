"""System calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_NEW_USER = 0x10000000
_SET_PARENT_DEATH_SIGNAL, _SET_DUMPABLE, _SET_SECCOMP, _SET_NO_NEW_PRIVILEGES = 1, 4, 22, 38
_KILL = 9


def _control(option: int, value: int, pointer: object = 0) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def die_with_parent() -> None:
    """Be killed when the parent ends; a change of user undoes it."""
    _control(_SET_PARENT_DEATH_SIGNAL, _KILL)


def let_be_read(yes: bool) -> None:
    """Whether other processes of this user may look into this one."""
    _control(_SET_DUMPABLE, int(yes))


def give_up_privileges() -> None:
    """From now on no program that is started gains any: set-user-id bits do nothing."""
    _control(_SET_NO_NEW_PRIVILEGES, 1)


def new_user_namespace() -> None:
    """Go into one. Raises OSError where the system forbids it."""
    if _libc.unshare(_NEW_USER):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def filter_calls(code: bytes) -> None:
    """Set a seccomp filter, eight bytes an instruction."""
    program = _Program(len(code) // 8, code)
    _control(_SET_SECCOMP, 2, ctypes.byref(program))
