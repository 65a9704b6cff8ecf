"""The same weights at every address: given to those that answer, and to the others before they are asked again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from understudy.errors import ServerDownError
from understudy.servers.background import background
from understudy.servers.cargo import Cargo
from understudy.servers.http import UnavailableError
from understudy.servers.pool import ServerPool
from understudy.servers.pushing import Pusher
from understudy.servers.replica import Replica
from understudy.servers.weights import Shipment, give, hold, unload_adapter, unload_others

_PATIENCE_SECONDS = 5.0
"""With an address that does not answer; the others need not wait for it: it is given the weights when it comes back."""

_PAUSE_SECONDS = 0.5
_LOOK_SECONDS = 1.0


class Delivery:
    """Which weights the addresses of a pool are to have.

    Args:
        pool: its ``confirm`` becomes this delivery's: an address that was lost gets the weights before anything else.
        is_sglang: the wire form.
    Attributes:
        present: the weights; None where the servers have them from the start. pusher: gives them without a disk.
        gives: false where another process alone gives them; an address that comes back is waited for until it has.
    """

    def __init__(self, pool: ServerPool, *, is_sglang: bool) -> None:
        self.pool, self._is_sglang = pool, is_sglang
        self.present: Shipment | None = None
        self.pusher: Pusher | None = None
        self.gives = True
        self._locks = {url: asyncio.Lock() for url in pool.settings.urls}
        pool.confirm = self._restore

    def deliver(self, shipment: Shipment) -> None:
        """Give them to every address that answers, at least one; the adapter before is forgotten there.

        Raises:
            ServerDownError: none answered within the deadline. ServerError: one refuses them.
        """
        before = self.present
        background().run(self._to_all(shipment))
        background().run(self._tidied(before))

    def watch(self) -> None:
        """Look after every address once a second from now on, and not only when something is asked of it."""
        background().submit(self._watched())

    async def _watched(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.pool.look_after()

    async def _to_all(self, shipment: Shipment) -> None:
        # Set here, on the thread of the servers, where no address can come back between this line and the next.
        self.present = shipment
        until = time.monotonic() + self.pool.settings.deadline_seconds
        while True:
            given = await asyncio.gather(*(self._to(replica) for replica in self.pool.replicas))
            if any(given):
                return
            if time.monotonic() >= until:
                urls = ", ".join(self.pool.settings.urls)
                raise ServerDownError(f"no server took the weights of version {shipment.version}", got=urls)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _to(self, replica: Replica) -> bool:
        """Whether that address has them now; one that does not answer will have them when it comes back."""
        if not replica.is_up:
            replica.is_lost = True
            return False
        try:
            await self._give(replica.url)
        except ServerDownError as error:
            self.pool.leave(replica, UnavailableError(str(error.got)))
            return False
        return True

    async def _restore(self, replica: Replica) -> None:
        """An address that comes back may have started anew, without the weights it was given."""
        if self.present is None:
            return
        try:
            if self.gives:
                await self._give(replica.url, only_where_missing=True)
            else:
                await self._awaited(replica.url, self.present)
        except ServerDownError as error:
            # Gone once more while it was given them, which is no reason never to look at it again.
            raise UnavailableError(str(error.got)) from error

    async def _awaited(self, url: str, shipment: Shipment) -> None:
        """Raise UnavailableError unless the address has them; SGLang does not tell, but names them with every token."""
        alone = self._alone(url)
        try:
            if not self._is_sglang and not await hold(alone, shipment, is_sglang=False):
                raise UnavailableError("it has not been given the present weights", is_lost=False)
        finally:
            await alone.close()

    async def _give(self, url: str, *, only_where_missing: bool = False) -> None:
        """The present weights, also where they change meanwhile."""
        alone = self._alone(url)
        try:
            async with self._locks[url]:
                done: Shipment | None = None
                while done is not self.present and self.present is not None:
                    done = self.present
                    try:
                        if not (only_where_missing and await hold(alone, done, is_sglang=self._is_sglang)):
                            await self._hand_over(alone, done)
                    except Exception:
                        if done is self.present:
                            raise
        finally:
            await alone.close()

    async def _hand_over(self, alone: ServerPool, shipment: Shipment) -> None:
        if isinstance(shipment.source, Cargo):
            assert self.pusher is not None
            await self.pusher.push(alone, shipment.source)
        else:
            await give(alone, shipment, is_sglang=self._is_sglang)

    async def _tidied(self, before: Shipment | None) -> None:
        await asyncio.gather(*(self._tidy(replica, before) for replica in self.pool.replicas if replica.is_up))

    async def _tidy(self, replica: Replica, before: Shipment | None) -> None:
        """Have one address forget the adapter before, at first whatever an earlier session of the run left there."""
        now = self.present
        assert now is not None
        alone = self._alone(replica.url)
        try:
            if before is None:
                await unload_others(alone, now, is_sglang=self._is_sglang)
            elif before.is_adapter and before.label != now.label:
                await unload_adapter(alone, before.label, is_sglang=self._is_sglang)
        except ServerDownError as error:
            self.pool.leave(replica, UnavailableError(str(error.got)))
        finally:
            await alone.close()

    def _alone(self, url: str) -> ServerPool:
        settings = self.pool.settings
        patience = min(_PATIENCE_SECONDS, settings.deadline_seconds)
        return ServerPool(replace(settings, urls=(url,), deadline_seconds=patience))
