"""Several copies of one model behind their addresses: the least busy is asked, a dead one is left and taken back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from understudy.errors import ServerDownError, ServerError, UserMistakeError
from understudy.servers.http import Call, RefusedError, UnavailableError
from understudy.servers.replica import Replica
from understudy.servers.settings import ServerSettings

T = TypeVar("T")
Confirm = Callable[[Replica], Awaitable[None]]
"""Raises WrongServerError where the model behind the address is not the one that was there."""

_HEALTH_SECONDS = 10.0
_LOOK_SECONDS = 0.05


class ServerPool:
    """Asks the copies of one model.

    Args:
        settings: addresses and patience.
    Attributes:
        replicas: in the order of the addresses.
        confirm: run on an address that comes back, before anything else is asked of it.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.replicas = [Replica(url, settings) for url in settings.urls]
        self.confirm: Confirm | None = None
        self._slots = asyncio.Semaphore(settings.max_concurrency * len(settings.urls))
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def ask(self, call: Call[T]) -> T:
        """The answer of whichever copy gives one; it is given once, however often the request had to move.

        Raises:
            ServerDownError: none answered within the deadline. Others: see ``http.ask``.
        """
        async with self._slots:
            attempts = _Attempts(self.settings.deadline_seconds)
            while True:
                replica = await self._free(attempts)
                begun = time.monotonic()
                try:
                    answer = await replica.ask(call, timeout_seconds=attempts.bounded(self.settings.timeout_seconds))
                except UnavailableError as failure:
                    self.leave(replica, failure)
                    attempts.failed(replica.url, failure, begun=begun)
                else:
                    replica.answered()
                    return answer

    def leave(self, replica: Replica, failure: UnavailableError) -> None:
        """Ask a copy nothing until it is well again; of requests that failed together, the first one counts."""
        if replica.is_up:
            self._watch(replica, replica.leave(failure))

    async def close(self) -> None:
        """Close every connection."""
        for watch in self._watches.values():
            watch.cancel()
        for replica in self.replicas:
            await replica.close()

    async def _free(self, attempts: _Attempts) -> Replica:
        """The least busy copy that is well, waited for where there is none."""
        while True:
            self._look_at_idle()
            ready = [replica for replica in self.replicas if replica.is_up]
            if ready:
                return min(ready, key=lambda replica: replica.in_flight)
            left = [replica for replica in self.replicas if replica.wrong is None]
            if not left:
                raise next(replica.wrong for replica in self.replicas if replica.wrong is not None)
            self._watch_anew(left)
            attempts.waits()
            await asyncio.sleep(_LOOK_SECONDS)

    def look_after(self) -> None:
        """See to every copy without asking it anything; called on the thread of the servers."""
        self._look_at_idle()
        self._watch_anew([replica for replica in self.replicas if not replica.is_up and replica.wrong is None])

    def _watch_anew(self, away: list[Replica]) -> None:
        """Of copies that are away, those that nobody looks after any more."""
        for replica in away:
            if self._watches[replica.url].done():
                self._watch(replica, 0.0)

    def _look_at_idle(self) -> None:
        """A copy that nobody has asked for a while is confirmed first: it may have been started anew since."""
        for replica in self.replicas:
            if replica.is_up and self.confirm is not None and replica.is_idle:
                replica.is_up, replica.is_lost = False, True
                self._watch(replica, 0.0)

    def _watch(self, replica: Replica, wait: float) -> None:
        self._watches[replica.url] = asyncio.get_running_loop().create_task(self._bring_back(replica, wait))

    async def _confirmed(self, replica: Replica) -> None:
        """Confirm a copy that was lost; once more where it is called lost meanwhile, as by weights that it missed."""
        while replica.is_lost:
            replica.is_lost = False
            try:
                if self.confirm is not None:
                    await self.confirm(replica)
            except BaseException:
                replica.is_lost = True
                raise

    async def _bring_back(self, replica: Replica, wait: float) -> None:
        """Look after a copy that failed until it is well, and the same as before; for no longer than the deadline."""
        until = time.monotonic() + self.settings.deadline_seconds
        while time.monotonic() < until:
            await asyncio.sleep(wait)
            try:
                seconds = min(_HEALTH_SECONDS, self.settings.timeout_seconds)
                await _check_health(replica, seconds)
                await self._confirmed(replica)
            except UnavailableError as failure:
                wait = replica.leave(failure)
            except (ServerError, UserMistakeError) as error:
                replica.refuse(error)
                return
            else:
                replica.is_up, replica.answered_at = True, time.monotonic()
                return


class _Attempts:
    """How long one request has failed."""

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        self._first: float | None = None
        self._faults = 0
        self._last = ("no address", "all are down")

    def bounded(self, seconds: float) -> float:
        """``seconds``, or what is left of the deadline where that is less."""
        left = self._deadline_seconds - (0.0 if self._first is None else time.monotonic() - self._first)
        return max(_LOOK_SECONDS, min(seconds, left))

    def failed(self, url: str, failure: UnavailableError, *, begun: float) -> None:
        """Note a failure; raises ServerError where it was the last."""
        self._first = begun if self._first is None else self._first
        self._last = (url, failure.reason)
        if failure.tries is not None:
            self._faults += 1
            if self._faults >= failure.tries:
                raise ServerError(
                    f"{url}: the server failed {self._faults} times at one request",
                    got=failure.reason,
                    remedy="Look into the server's log.",
                )
        self._check()

    def waits(self) -> None:
        """Note that nobody can be asked; raises ServerDownError when the time is over."""
        self._first = time.monotonic() if self._first is None else self._first
        self._check()

    def _check(self) -> None:
        if self._first is not None and time.monotonic() - self._first >= self._deadline_seconds:
            url, reason = self._last
            raise ServerDownError(
                f"{url}: the server does not answer, after {self._deadline_seconds:g} s",
                got=reason,
                remedy="Start it, or correct its address; a run goes on with --resume.",
            )


async def _check_health(replica: Replica, seconds: float) -> None:
    """Raise UnavailableError unless it is well; one that has no such route has answered, and that is enough."""
    try:
        await replica.ask(Call("/health", _nothing, is_json=False), timeout_seconds=seconds)
    except RefusedError as error:
        if error.status not in (404, 405):
            raise


def _nothing(_: bytes) -> None:
    return None
