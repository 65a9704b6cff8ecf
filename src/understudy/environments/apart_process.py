"""The far side of environments kept apart: a script that imports a factory once and forks a process for each episode.

Arguments: a descriptor of a socket, and settings as JSON (``factory``, ``module:name``; ``path``, where modules are
found). It says ``ready`` or ``refused WHY``; each descriptor that comes over the socket is the channel of a new
process, in which one environment answers, in JSON: ``["reset", [task, seed]]`` and ``["step", [action]]`` give
``["done", observation]``, ``["failed", why]``, or ``["mistake", parts]`` for a mistake of the user's. The end of the
socket ends it and all its processes.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from multiprocessing.connection import Connection
from typing import Any

_PR_SET_PDEATHSIG = 1
_PARTS = ("what", "got", "expected", "remedy")


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
    channel.send_bytes(json.dumps(os.getpid()).encode())
    environment = None
    while True:
        try:
            method, arguments = json.loads(channel.recv_bytes())
        except EOFError:
            return
        try:
            environment = factory() if environment is None else environment
            answer = json.dumps(["done", answer_of(environment, method, arguments)], default=plain)
        except BaseException as error:
            answer = json.dumps(failure(error))
        channel.send_bytes(answer.encode())


def answer_of(environment: Any, method: str, arguments: list[Any]) -> dict[str, Any]:
    """The fields of what the environment answers; raises TypeError where that is no observation."""
    from understudy.protocols import Observation, Task

    given = [Task(**arguments[0]), arguments[1]] if method == "reset" else arguments
    found = getattr(environment, method)(*given)
    if not isinstance(found, Observation):
        raise TypeError(f"the environment answered with the wrong type: {type(found).__name__}, not Observation")
    return {one.name: getattr(found, one.name) for one in fields(found)}


def plain(value: Any) -> Any:
    """What JSON has no form for: a record becomes its fields, anything else its text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value)}
    return str(value)


def failure(error: BaseException) -> list[Any]:
    """An error as an answer; a mistake of the user's keeps its parts."""
    from understudy.errors import UserMistakeError

    if isinstance(error, UserMistakeError):
        return ["mistake", {name: _text(getattr(error, name, None)) for name in _PARTS}]
    return ["failed", f"{type(error).__name__}: {_text(error)}"]


def main() -> None:
    """Say whether there is a factory, then fork a process for each descriptor that comes."""
    control, settings = socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])
    sys.path[:] = settings["path"]
    _silence_output()
    try:
        factory = load(settings["factory"])
        import understudy.protocols  # noqa: F401  # once, for all processes; after what may be refused, for it is dear
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
    """What environments print must not mix with what the run prints for programs to read; errors are seen."""
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
