"""Weights to servers without a disk: a process group with each address, and what is asked of it meanwhile.

A group for each address, not one for all: a server that dies, or refuses, holds no other up and comes back alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from understudy.errors import ServerDownError, ServerError, UserMistakeError
from understudy.servers.cargo import Cargo
from understudy.servers.http import Call, UnavailableError
from understudy.servers.pool import ServerPool
from understudy.servers.weight_group import WeightGroup, own_address

T = TypeVar("T")
_REASON_SECONDS = 5.0
"""When this end has failed the server's own words say why, if they come."""


class Form(Protocol):
    """How servers of one kind are given weights."""

    async def opened(self, pool: ServerPool, address: str) -> WeightGroup:
        """A group with the pool's one server; ``address`` is this machine's, as that server reaches it."""

    async def pushed(self, pool: ServerPool, group: WeightGroup, cargo: Cargo) -> None:
        """Pause, send, name the version, flush, resume; on an error it has resumed, as far as that can be done."""


class Pusher:
    """Keeps the groups.

    Args:
        form: of the servers.
    """

    def __init__(self, form: Form) -> None:
        self._form = form
        self._groups: dict[str, WeightGroup] = {}

    async def push(self, pool: ServerPool, cargo: Cargo) -> None:
        """Have the pool's one server take the weights; a failure ends its group, and the next push makes another.

        Raises:
            ServerDownError: it does not answer, or has gone meanwhile. ServerError: it refuses them.
        """
        url = pool.settings.urls[0]
        if url in self._groups:
            try:
                await self._through_group(pool, url, cargo)
                return
            except (ServerError, UserMistakeError):
                pass  # another process may answer there by now, which has no group yet
        await self._through_group(pool, url, cargo)

    async def _through_group(self, pool: ServerPool, url: str, cargo: Cargo) -> None:
        try:
            if url not in self._groups:
                place = urlsplit(url)
                address = own_address(place.hostname or "", place.port or 80)
                self._groups[url] = await self._form.opened(pool, address)
            await self._form.pushed(pool, self._groups[url], cargo)
        except BaseException:
            group = self._groups.pop(url, None)
            if group is not None:
                group.close()
            raise


def sender(group: WeightGroup, cargo: Cargo, names: Sequence[str]) -> Callable[[], None]:
    """This end's part of a bucket: its tensors, one after the other."""

    def send() -> None:
        for name in names:
            group.broadcast(cargo.tensors[name])

    return send


async def once(pool: ServerPool, call: Call[T]) -> T:
    """The answer of the pool's one server to one attempt: a push that was cut begins anew, with another group.

    Raises:
        ServerDownError: it gives none. Others: see ``http.ask``.
    """
    replica = pool.replicas[0]
    try:
        return await replica.ask(call)
    except UnavailableError as failure:
        raise _down(replica.url, failure.reason) from failure


async def beside(pool: ServerPool, call: Call[T], work: Callable[[], Any]) -> T:
    """The answer to a request that the server gives only when this end has done its part, on a thread of its own.

    Raises:
        ServerDownError, ServerError: the server's failure or, where it tells none, this end's.
    """
    asking = asyncio.ensure_future(once(pool, call))
    working = _begun(work)
    await asyncio.wait({asking, working}, return_when=asyncio.FIRST_EXCEPTION)
    if working.done() and working.exception() is not None:
        await asyncio.wait({asking}, timeout=_REASON_SECONDS)
    if asking.done() and asking.exception() is not None:
        _forgotten(working)
        raise asking.exception()  # type: ignore[misc]
    try:
        await working
        return await asking
    except (ServerError, UserMistakeError):
        raise
    except RuntimeError as error:
        raise _down(pool.settings.urls[0], " ".join(str(error).split())[:200]) from error
    finally:
        asking.cancel()


@contextlib.asynccontextmanager
async def resuming(pool: ServerPool, call: Call[None]) -> AsyncIterator[None]:
    """Within the block the server is paused; afterwards it answers again, and an error of the block is what is told."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(ServerError, UserMistakeError):
            await once(pool, call)
        raise
    await once(pool, call)


def _begun(work: Callable[[], T]) -> asyncio.Future[T]:
    """A daemon thread: an end that waits for a peer that never comes must not hold up the end of the program."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            loop.call_soon_threadsafe(tell, None, error)
        else:
            loop.call_soon_threadsafe(tell, result, None)

    threading.Thread(target=run, name="understudy-weights", daemon=True).start()
    return future


def _forgotten(future: asyncio.Future[Any]) -> None:
    """Its failure, now or later, is the consequence of one that is told."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())


def _down(url: str, reason: str) -> ServerDownError:
    return ServerDownError(f"{url}: the server has gone while it was given weights", got=reason)
