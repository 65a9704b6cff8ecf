"""A launch from its first process to its last: servers, then the trainer, restarts within bounds, an end of all."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import UnderstudyError
from understudy.launching.asking import is_well
from understudy.launching.following import Following
from understudy.launching.part import Part
from understudy.launching.process import Process

_PAUSE_SECONDS = 0.1
_ASK_AGAIN_SECONDS = 0.25
_LONGEST_BACK_OFF = 30.0
_SHOWN_LINES = 8
_READ_LINES = 200
_USERS_MISTAKE = 2


class PartFailedError(UnderstudyError, RuntimeError):
    """A part of a launch ended for good before the run did; ``exit_code`` is the trainer's, or 1."""

    def __init__(self, process: Process, why: str) -> None:
        self.exit_code = _USERS_MISTAKE if process.exit_status == _USERS_MISTAKE else 1
        lines = process.last_lines(_READ_LINES)
        # What follows a part's own sentence explains less than it does.
        said = [line for line in lines if line.startswith("understudy: ")][-1:]
        lines = said or lines[-_SHOWN_LINES:]
        shown = "".join(f"\n  {process.part.name} | {line}" for line in lines) or " nothing"
        super().__init__(f"{process.part.name} {why}; its last lines:{shown}\nAll of it is in {process.log}")


@dataclass(frozen=True)
class Bounds:
    """Of patience.

    Args:
        restarts: of each part. deadline_seconds: until every server answers. grace_seconds: from SIGTERM to SIGKILL.
    """

    restarts: int = 3
    deadline_seconds: float = 900.0
    grace_seconds: float = 60.0


class Supervisor:
    """Runs the parts of one machine until the trainer has ended.

    Args:
        parts: servers and the trainer. folder: for logs. environment: of every part, keys among them.
        bounds: see there. say: shows a line to the user. resume: the trainer goes on with a run.
        others: addresses of servers on other machines, which are waited for as well.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        folder: Path,
        environment: Mapping[str, str],
        *,
        bounds: Bounds,
        say: Callable[[str], None],
        resume: bool = False,
        others: Sequence[str] = (),
    ) -> None:
        made = [Process(part, folder, grace_seconds=bounds.grace_seconds) for part in parts]
        self.servers = [one for one in made if one.part.kind != "trainer"]
        (self.trainer,) = [one for one in made if one.part.kind == "trainer"]
        self._environment, self._bounds, self._say = environment, bounds, say
        self._resume, self._others = resume, others
        self._due: dict[str, float] = {}
        self._asked_again = 0.0
        self._following = Following(self.trainer.log, lambda line: say(f"{self.trainer.part.name} | {line}"))
        self.signal: signal.Signals | None = None
        self.changed: Callable[[], None] = lambda: None

    @property
    def processes(self) -> list[Process]:
        """Servers, then the trainer."""
        return [*self.servers, self.trainer]

    def stop(self, number: int, _frame: object = None) -> None:
        """Take a signal: the first asks for a clean end, the second kills."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    def run(self) -> int:
        """Start, wait, restart, and end everything; the exit status of the launch.

        Raises:
            PartFailedError: a part failed more often than it may; everything else has been ended.
        """
        try:
            self._start_servers()
            if self.signal is None:
                self._start_trainer(resume=self._resume)
            while self.signal is None and not self._watch():
                time.sleep(_PAUSE_SECONDS)
        finally:
            self._end_all()
        if self.signal is not None:
            return 128 + self.signal
        return self.trainer.exit_status or 0

    def _start_servers(self) -> None:
        for server in self.servers:
            server.start(self._environment)
        self.changed()
        began = told = time.monotonic()
        urls = [*(one.part.url for one in self.servers if one.part.url), *self._others]
        missing = urls
        while self.signal is None and (missing := [url for url in missing if not is_well(url, seconds=1.0)]):
            self._revive_servers()
            now = time.monotonic()
            if now - began > self._bounds.deadline_seconds:
                patience = f"{self._bounds.deadline_seconds:g} s"
                raise UnderstudyError(
                    f"{len(missing)} of {len(urls)} server(s) did not answer within {patience}",
                    got=", ".join(self._names_of(missing)),
                    remedy=f"Their logs are in {self.trainer.log.parent}; --deadline SECONDS waits longer.",
                )
            if now - told > 10:
                told = now
                names = ", ".join(self._names_of(missing))
                self._say(f"waiting for {len(missing)} of {len(urls)} servers ({names}), {now - began:.0f} s")
            time.sleep(_ASK_AGAIN_SECONDS)
        for server in self.servers:
            server.state = "running" if server.is_alive else server.state
        if urls and self.signal is None:
            self._say(f"{len(urls)} server(s) answer after {time.monotonic() - began:.1f} s")
        self.changed()

    def _names_of(self, urls: Sequence[str]) -> list[str]:
        names = {one.part.url: one.part.name for one in self.servers}
        return [names.get(url, url) for url in urls]

    def _start_trainer(self, *, resume: bool) -> None:
        self._following.skip()
        self.trainer.start(self._environment, more=("--resume",) if resume else ())
        self.trainer.state = "running"
        self.changed()

    def _watch(self) -> bool:
        """One look at everything; whether the run has ended."""
        self._revive_servers()
        self._following.show()
        if self.trainer.poll():
            self._following.show()
            self.changed()
            if self.trainer.exit_status == 0:
                return True
            self._bury_or_wait(self.trainer)
        if self._is_due(self.trainer):
            self._say(f"{self.trainer.part.name} starts again from its last checkpoint")
            self._start_trainer(resume=True)
        return False

    def _revive_servers(self) -> None:
        for server in self.servers:
            if server.poll():
                self.changed()
                self._bury_or_wait(server)
            elif self._is_due(server):
                server.start(self._environment)
                self.changed()
            elif server.state == "starting" and server.restarts and self._answers(server):
                server.state = "running"
                self._say(f"{server.part.name} answers again")
                self.changed()

    def _answers(self, server: Process) -> bool:
        """Whether a server that was started again answers; asked now and then, for the others are watched meanwhile."""
        now = time.monotonic()
        if server.part.url is None or now < self._asked_again + _ASK_AGAIN_SECONDS:
            return False
        self._asked_again = now
        return is_well(server.part.url, seconds=1.0)

    def _bury_or_wait(self, process: Process) -> None:
        """Set the time of the next try, or give up; a user's mistake is one however often it is made."""
        why = f"ended with status {process.exit_status}"
        # A server is not meant to end at all, so its status 0 is a failure as well.
        if process.exit_status == _USERS_MISTAKE or process.restarts >= self._bounds.restarts:
            times = f" after {process.restarts} restart(s)" if process.restarts else ""
            raise PartFailedError(process, why + times)
        wait = min(_LONGEST_BACK_OFF, 0.5 * 2**process.restarts)
        process.restarts += 1
        self._due[process.part.name] = time.monotonic() + wait
        last = (process.last_lines(1) or ["nothing"])[0]
        self._say(
            f"{process.part.name} {why} (last line: {last[:200]}); restart {process.restarts} of "
            f"{self._bounds.restarts} in {wait:g} s"
        )

    def _is_due(self, process: Process) -> bool:
        due = self._due.get(process.part.name)
        if process.is_alive or due is None or time.monotonic() < due:
            return False
        del self._due[process.part.name]
        return True

    def _end_all(self) -> None:
        """The trainer first: it may need its servers for a clean end."""
        try:
            self._end([self.trainer])
            self._end(self.servers)
        finally:  # a second signal, or anything else: now
            for process in self.processes:
                process.kill()
            while any(one.is_alive and not one.poll() for one in self.processes):
                time.sleep(0.02)
            with suppress(Exception):
                self._following.show()
            self.changed()

    def _end(self, processes: Sequence[Process]) -> None:
        for process in processes:
            process.ask()
        told = False
        while any(one.is_alive and not one.poll() for one in processes):
            self._following.show()
            if self.signal is not None and not told and processes == [self.trainer]:
                self._say(f"{self.signal.name}: {self.trainer.part.name} ends cleanly; once more ends everything now")
                told = True
            time.sleep(0.05)
