"""Processes of the real engine: one an episode, lent out, taken back, and replaced before they grow too large."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from understudy.environments.alfworld.game_file import MISSING
from understudy.errors import EnvironmentFailedError, UserMistakeError

_WORKER = Path(__file__).with_name("engine_worker.py")
_START_SECONDS = 120.0
_READ_BYTES = 1 << 16


class Engine:
    """One process; a line asked, a line answered, by a deadline.

    Args:
        command: starts it. seconds: how long an answer may take.
    Attributes:
        num_games: that were opened in it. num_owed: answers that were asked for and not read.
    """

    def __init__(self, command: Sequence[str], *, seconds: float) -> None:
        self._seconds, self._rest = seconds, b""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        self.num_games = 0
        self.num_owed = 0
        self._is_greeted = False

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def greet(self) -> None:
        """Wait until it can be asked.

        Raises:
            EnvironmentFailedError: it ended, or took minutes. UserMistakeError: it says that alfworld is missing.
        """
        if self._is_greeted:
            return
        greeting = self._line(_START_SECONDS)
        if "ready" not in greeting:
            self.close()
            raise UserMistakeError("the ALFWorld engine is not there", got=greeting.get("missing"), remedy=MISSING)
        self._is_greeted = True

    def send(self, message: Mapping[str, object]) -> None:
        """Ask, without waiting for the answer.

        Raises:
            EnvironmentFailedError: the process has ended. UserMistakeError: it says that alfworld is missing.
        """
        self.greet()
        self.num_games += "open" in message
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self.num_owed += 1
        except OSError as error:
            raise self._failed("has ended") from error

    def receive(self) -> dict[str, Any]:
        """The answer.

        Raises:
            EnvironmentFailedError: none came in time, the process has ended, or the engine failed; it is gone then.
        """
        answer = self._line(self._seconds)
        self.num_owed -= 1
        if "error" in answer:
            raise self._failed(f"failed ({answer['error']})")
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _line(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while b"\n" not in self._rest:
            self._rest += self._some(until)
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise self._failed(f"answered {line[:60]!r}") from error
        if not isinstance(answer, dict):
            raise self._failed(f"answered {line[:60]!r}")
        return answer

    def _some(self, until: float) -> bytes:
        output = self._process.stdout
        assert output is not None
        with selectors.DefaultSelector() as ready:
            ready.register(output, selectors.EVENT_READ)
            if not ready.select(max(0.0, until - time.monotonic())):
                raise self._failed("gave no answer in time")
        data = output.read(_READ_BYTES)
        if not data:
            raise self._failed("has ended")
        return data

    def _failed(self, what: str) -> EnvironmentFailedError:
        self.close()
        return EnvironmentFailedError(f"the ALFWorld engine {what}")


class Engines:
    """Lends processes, one to each episode under way.

    Args:
        python: the interpreter that has alfworld; None: this one. seconds: for one answer.
        games: a process is replaced after so many, for each game loads a library that is never let go.
        command: starts a process, in place of the worker of this package.
    """

    def __init__(
        self,
        python: str | None = None,
        *,
        seconds: float = 60.0,
        games: int = 30,
        command: Sequence[str] | None = None,
    ) -> None:
        self._command = command or (python or sys.executable, str(_WORKER))
        self._seconds, self._games = seconds, games
        self._idle: list[Engine] = []

    def check(self) -> None:
        """Find out now whether there is an engine; raises UserMistakeError where there is none."""
        engine = self.take()
        engine.greet()
        self.give(engine)

    def take(self) -> Engine:
        """An idle process, or a new one.

        Raises:
            UserMistakeError: the interpreter cannot be started.
        """
        while self._idle:
            engine = self._idle.pop()
            if engine.is_alive:
                return engine
        try:
            return Engine(self._command, seconds=self._seconds)
        except OSError as error:
            raise UserMistakeError(
                "the Python for ALFWorld cannot be started", got=str(self._command[0]), remedy=MISSING
            ) from error

    def give(self, engine: Engine) -> None:
        """Take a process back; one that has played its games ends, and one that owes the last episode an answer.

        The next episode would take that answer for its own.
        """
        if engine.is_alive and engine.num_games < self._games and not engine.num_owed:
            self._idle.append(engine)
        else:
            engine.close()

    def close(self) -> None:
        """End the processes that are idle."""
        while self._idle:
            self._idle.pop().close()
