"""Environments in processes of their own, each answer by a deadline: one that hangs or dies costs its own rollout.

A supervisor process imports the factory's module once and forks a process for each episode, so that a thousand episodes
load it once. Calls and answers are JSON: a task's columns and an observation's info cross as JSON has them, records as
their fields, and what JSON has no form for as its text.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import weakref
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from understudy.environments import apart_process
from understudy.errors import EnvironmentFailedError, UserMistakeError
from understudy.protocols import Observation, Task

SECONDS = 60.0
"""For an answer, where nobody says otherwise."""
_START_SECONDS = 120.0
_PATIENCE_SECONDS = 2.0


class Apart:
    """Makes environments that live apart: an environment factory, for ``train(environment=...)`` too.

    Args:
        factory: ``package.module:name`` of what makes an environment; modules are found as in this process, and in the
            working directory. seconds: for each answer, counted from when it was asked for.
    """

    def __init__(self, factory: str, *, seconds: float = SECONDS) -> None:
        module, _, name = factory.partition(":")
        if not module or not name:
            raise UserMistakeError("an environment's factory", got=repr(factory), expected="package.module:name")
        if not seconds > 0:
            raise UserMistakeError("an environment's deadline", got=f"{seconds} s", expected="more than 0")
        self.factory, self.seconds = factory, seconds
        self._nursery: _Nursery | None = None

    def __call__(self) -> ApartEnvironment:
        """A new environment; its process begins with ``reset``."""
        return ApartEnvironment(self)

    def check(self) -> None:
        """Find out now whether the factory can be imported; raises UserMistakeError where it cannot."""
        self._ready()

    def open(self) -> Channel:
        """A new process with an environment in it.

        Raises:
            UserMistakeError: the factory cannot be imported. EnvironmentFailedError: the process does not begin.
        """
        return self._ready().open(self.seconds)

    def close(self) -> None:
        """End the supervisor and all processes."""
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None

    def _ready(self) -> _Nursery:
        if self._nursery is None or not self._nursery.is_fit:
            self.close()
            self._nursery = _Nursery(self.factory)
        return self._nursery


class ApartEnvironment:
    """Implements ``protocols.Environment``: one episode at a time, in a process that ends with it."""

    def __init__(self, apart: Apart) -> None:
        self._apart = apart
        self._channel: Channel | None = None
        self._prepared: str | None = None

    def reset(self, task: Task, seed: int) -> Observation:
        """Start an episode in a new process.

        Raises:
            EnvironmentFailedError: no answer in time, the process died, or the environment raised.
        """
        self._end()
        self._channel = self._apart.open()
        self._channel.ask("reset", asdict(task), seed)
        return self._answer()

    def prepare(self, action: str) -> None:
        """Let the process begin with an action while others are told theirs; ``step`` with it waits for the answer."""
        self._running().ask("step", action)
        self._prepared = action

    def step(self, action: str) -> Observation:
        """Take an action.

        Raises:
            EnvironmentFailedError: as ``reset``; or no episode is running.
        """
        if self._prepared is None:
            self._running().ask("step", action)
        elif self._prepared != action:
            raise EnvironmentFailedError("another action was prepared", got=action[:60], expected=self._prepared[:60])
        self._prepared = None
        return self._answer()

    def _answer(self) -> Observation:
        try:
            observation = Observation(**self._running().answer())
        except BaseException:
            self._end()
            raise
        if observation.done:
            self._end()
        return observation

    def _running(self) -> Channel:
        if self._channel is None:
            raise EnvironmentFailedError("step without a running episode", remedy="Call reset first.")
        return self._channel

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel, self._prepared = None, None


class Channel:
    """The near end of a process: a call asked, an answer by the deadline, and then the process is gone or waits.

    Args:
        connection: to it. seconds: for each answer.
    """

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection, self._seconds, self._until = connection, seconds, 0.0
        self._pid = int(self._receive(time.monotonic() + _START_SECONDS))
        self._finalizer = weakref.finalize(self, _end, connection, self._pid)

    def ask(self, method: str, *arguments: object) -> None:
        """Ask, without waiting."""
        self._until = time.monotonic() + self._seconds
        try:
            self._connection.send_bytes(json.dumps([method, arguments], default=str).encode())
        except OSError as error:
            raise EnvironmentFailedError("an environment's process has ended") from error

    def answer(self) -> dict[str, Any]:
        """What came of it: the fields of an observation.

        Raises:
            EnvironmentFailedError: nothing came in time, the process ended, or the environment raised.
            UserMistakeError: the environment said that the user can put it right.
        """
        kind, value = self._receive(self._until)
        if kind == "mistake":
            raise UserMistakeError(value["what"], **{key: text for key, text in value.items() if key != "what"})
        if kind == "failed":
            raise EnvironmentFailedError("an environment failed", got=value)
        return dict(value)

    def close(self) -> None:
        """End the process."""
        self._finalizer()

    def _receive(self, until: float) -> Any:
        try:
            if self._connection.poll(max(0.0, until - time.monotonic())):
                return json.loads(self._connection.recv_bytes())
        except (OSError, EOFError) as error:
            raise EnvironmentFailedError("an environment's process has ended") from error
        raise EnvironmentFailedError("an environment gave no answer in time", got=f"more than {self._seconds:g} s")


class _Nursery:
    """The supervisor process."""

    def __init__(self, factory: str) -> None:
        self._owner, self._factory = os.getpid(), factory
        self._control, theirs = socket.socketpair()
        settings = {"factory": factory, "path": [str(Path.cwd()), *sys.path]}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(apart_process.__file__), str(theirs.fileno()), json.dumps(settings)],
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for this process alone
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        theirs.close()
        self._finalizer = weakref.finalize(self, _dismiss, self._control, self._process, self._owner)
        self._check()

    @property
    def is_fit(self) -> bool:
        """Whether it lives, and was started by this process, not by one that forked it."""
        return self._owner == os.getpid() and self._process.poll() is None

    def open(self, seconds: float) -> Channel:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [b"+"], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise EnvironmentFailedError("the environments' supervisor has ended") from error
        return Channel(Connection(ours.detach()), seconds)

    def close(self) -> None:
        self._finalizer()

    def _check(self) -> None:
        self._control.settimeout(_START_SECONDS)
        said = b""
        with suppress(OSError):
            while not said.endswith(b"\n"):
                data = self._control.recv(4096)
                if not data:
                    break
                said += data
        self._control.settimeout(None)
        if said.strip() != b"ready":
            self.close()
            raise UserMistakeError(
                f"the environment's factory {self._factory} cannot be used",
                got=said.decode(errors="replace").strip().removeprefix("refused ") or "its import ended the process",
                expected="package.module:name of what makes an environment",
                remedy="Import it in a Python of the same working directory, and mend what that says.",
            )


def _end(connection: Connection, pid: int) -> None:
    """Whatever the process is at, it ends, and with it what it has started."""
    for kill in (os.killpg, os.kill):
        with suppress(OSError):
            kill(pid, signal.SIGKILL)
    connection.close()


def _dismiss(control: socket.socket, process: subprocess.Popen[bytes], owner: int) -> None:
    control.close()
    if owner != os.getpid():
        return
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
