"""The form of a hostile program."""

from __future__ import annotations

from dataclasses import dataclass

PRELUDE = """
import ctypes, errno, fcntl, glob, mmap, os, resource, signal, socket, stat, struct, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def harmed(*what): print("HARMED", *what, flush=True)
def tried(): print("tried", flush=True)
def attempt(deed, *given, **more):
    try:
        return deed(*given, **more)
    except (OSError, ValueError, MemoryError, OverflowError, RuntimeError) as error:
        print("refused:", str(error)[:80], flush=True)
def call(number, *given):  # a system call that must be refused
    if libc.syscall(number, *given) >= 0: harmed("system call", number)
"""
"""What each Python program begins with: ``harmed`` is called only where an attack has worked."""


@dataclass(frozen=True)
class Hostile:
    """One program.

    Args:
        name: of the attack. code: Python after ``PRELUDE``; ``CANARY`` stands for the host's folder with the canaries,
            ``PORT`` for that of a server on the host.
        ends: how it may end, each ``exit:STATUS``, ``signal``, ``deadline`` or ``limit:REASON``.
        shell: the code is a shell script instead.
    """

    name: str
    code: str
    ends: tuple[str, ...] = ("exit:0",)
    shell: bool = False
