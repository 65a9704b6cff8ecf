"""The far side of objects kept apart: a script that imports a factory once and forks a process for each object.

Arguments: a descriptor of a socket, and settings as JSON (``factory``, ``module:name``; ``path``, where modules are
found). It says ``ready`` or ``refused WHY``; each descriptor that comes over the socket is the channel of a new
process, in which one object answers calls, pickled: ``(method, arguments)`` gives ``("done", value)``,
``("failed", why)``, or ``("mistake", parts)`` for a mistake of the user's. The end of the socket ends it and all its
processes.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

_PR_SET_PDEATHSIG = 1
_MISTAKE = ("what", "got", "expected", "remedy")


def load(name: str) -> Callable[[], Any]:
    """The factory ``module:name``; raises whatever its import raises, TypeError where it is none."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{name} makes nothing: it cannot be called")
    return found


def serve(channel: Connection, factory: Callable[[], Any]) -> None:
    """One process's life: its id, then a call and an answer after the other, until the channel ends."""
    os.setsid()
    _die_with_parent()
    channel.send(os.getpid())
    subject = None
    while True:
        try:
            method, arguments = pickle.loads(channel.recv_bytes())
        except EOFError:
            return
        try:
            subject = factory() if subject is None else subject
            answer = pickle.dumps(("done", getattr(subject, method)(*arguments)))
        except BaseException as error:
            answer = pickle.dumps(failure(error))
        channel.send_bytes(answer)


def failure(error: BaseException) -> tuple[str, Any]:
    """An error as an answer; a mistake of the user's keeps its parts."""
    if any(one.__name__ == "UserMistakeError" for one in type(error).__mro__):
        return "mistake", {name: _text(getattr(error, name, None)) for name in _MISTAKE}
    return "failed", f"{type(error).__name__}: {_text(error)}"


def main() -> None:
    """Say whether there is a factory, then fork a process for each descriptor that comes."""
    control, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    sys.path[:] = settings["path"]
    _silence_output()
    try:
        factory = load(settings["factory"])
    except BaseException as error:
        control.sendall(f"refused {type(error).__name__}: {_text(error)}\n".encode())
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes: the system clears them away
    control.sendall(b"ready\n")
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not data:
            return
        for descriptor in descriptors:
            if os.fork() == 0:
                control.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                serve(Connection(descriptor), factory)
                os._exit(0)
            os.close(descriptor)


def _silence_output() -> None:
    """What objects print must not mix with what the run prints for programs to read; errors are seen."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)


def _die_with_parent() -> None:
    with suppress(Exception):  # Linux only; elsewhere the end of the channel does it between calls
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _text(value: object) -> str | None:
    try:
        return None if value is None else str(value)[:500]
    except Exception:  # an error whose text fails
        return type(value).__name__


if __name__ == "__main__":
    main()
