"""How this package's HTTP servers listen: bounded headers, connections, bodies and waiting, whatever they serve."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from understudy.errors import UserMistakeError
from understudy.host_names import HostNames

HEADER_BYTES = 32 << 10
"""Longest request line and headers; ours send a few hundred bytes."""

HEADER_SECONDS = 30.0
"""A connection that has not said what it wants by then is closed."""

TAKING_SECONDS = 60.0
"""A reader that takes nothing of its answer for so long is let go, and the answer with it."""

_MORE = 64
"""Connections beyond the bound, and beyond as many again, that are still told so."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
"""ASGI's own shapes."""


class BoundedHttp(H11Protocol):
    """A connection whose next request must have its headers sent in ``header_seconds``.

    uvicorn bounds the pause between two requests, but neither the first headers nor those that come byte by byte, nor
    how long an answer waits to be taken, nor how many connections are open that have not yet asked.
    """

    header_seconds, taking_seconds = HEADER_SECONDS, TAKING_SECONDS
    _timer: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _taken = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait; a connection far beyond the bound is closed, for an answer of 503 would wait for it to ask."""
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) > 2 * self.limit_concurrency + _MORE:
            transport.abort()
        else:
            self._wait()

    def pause_writing(self) -> None:
        """Wait for the reader, not for ever."""
        super().pause_writing()
        if self._taking is None:
            self._taken = self._left()
            self._taking = self.loop.call_later(self.taking_seconds, self._look)

    def resume_writing(self) -> None:
        """It has taken all but a little."""
        super().resume_writing()
        self._forget_taking()

    def _look(self) -> None:
        left, self._taking = self._left(), None
        if left < self._taken:
            self._taken = left
            self._taking = self.loop.call_later(self.taking_seconds, self._look)
        else:
            self.transport.abort()

    def _left(self) -> int:
        return self.transport.get_write_buffer_size()

    def _forget_taking(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def data_received(self, data: bytes) -> None:
        """Take bytes; headers that are whole end the waiting, the first bytes of others begin it."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._forget()
        self._forget_taking()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if repr(self.conn.their_state) != "IDLE":  # h11's word for a request that has not come
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.header_seconds, self.transport.close)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded_config(app: App, *, connections: int, **options: Any) -> uvicorn.Config:
    """A configuration of uvicorn under these bounds.

    Args:
        connections: open at one time; requests of further ones are answered 503. options: of ``uvicorn.Config``.
    """
    return uvicorn.Config(
        app,
        http=BoundedHttp,
        ws="none",
        h11_max_incomplete_event_size=HEADER_BYTES,
        limit_concurrency=connections,
        lifespan="off",
        access_log=False,
        server_header=False,
        log_level="warning",
        **options,
    )


class BoundedBody:
    """ASGI middleware: answers 413 to a body that is too long and 408 to one that does not end, and passes others on.

    Args:
        app: what it guards. most_bytes: of a body. seconds: until its last byte.
    """

    def __init__(self, app: App, *, most_bytes: int, seconds: float = 60.0) -> None:
        self._app, self._most_bytes, self._seconds = app, most_bytes, seconds

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Read the body, then let the application have it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._body(receive)
        except TimeoutError:
            await _refuse(send, 408, f"the body was not here within {self._seconds:g} s")
            return
        if body is None:
            await _refuse(send, 413, f"the body is longer than {self._most_bytes} bytes")
            return
        is_read = False

        async def again() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)

    async def _body(self, receive: Receive) -> bytes | None:
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._most_bytes:
                return None
            if not message.get("more_body", False):  # also where the client has left
                return bytes(body)


class OwnNames:
    """ASGI middleware: answers 421 to a request that calls the server by a name that is not its own."""

    def __init__(self, app: App, names: HostNames) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1") if scope["type"] == "http" else ""
        if scope["type"] == "http" and not self._names.include(host):
            await _refuse(send, 421, "this server does not go by that name: see --allowed-host")
            return
        await self._app(scope, receive, send)


async def _refuse(send: Send, status: int, detail: str) -> None:
    body = json.dumps({"detail": detail}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def listening_socket(host: str, port: int, *, backlog: int, who: str) -> socket.socket:
    """A socket at the address, listening; made before anything dear is, so that mistakes cost nothing.

    Args:
        port: 0 takes a free one. backlog: connections that may wait. who: of the error's sentence.
    Raises:
        UserMistakeError: the port is in use, or the host is no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(backlog)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise UserMistakeError(
            f"the {who} cannot listen there",
            got=f"{host} port {port}: {(error.strerror or str(error)).lower()}",
            remedy="Choose another --port (0 takes a free one) or --host.",
        ) from error
    return listening
