"""The first thing a request meets: who sent it, and how long it took to answer."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from fastapi.datastructures import Headers

from understudy.host_names import HostNames
from understudy.serving.metrics import Metrics
from understudy.serving.refusal import Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
"""ASGI's own shapes."""

_OPEN = frozenset({"/health"})


class Guard:
    """ASGI middleware: refuses requests without the key, for other names and of web pages, and counts all.

    Args:
        app: what it guards. api_key: None lets everybody pass who names this server. names: what it is called.
        max_body_bytes: longest body that is announced.
        metrics: told of every answer. routes: paths that are counted under their own name.
    """

    def __init__(
        self,
        app: App,
        *,
        api_key: str | None,
        names: HostNames,
        max_body_bytes: int,
        metrics: Metrics,
        routes: Collection[str],
    ) -> None:
        self._app, self._metrics, self._routes = app, metrics, frozenset(routes)
        self._names, self._max_body_bytes = names, max_body_bytes
        self._digest = None if api_key is None else _digest(api_key.encode())

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            refusal = self._refusal(scope["path"], Headers(scope=scope))
            await (self._app if refusal is None else refusal.response())(scope, receive, counted)
        finally:
            route = scope["path"] if scope["path"] in self._routes else "other"
            self._metrics.request(route, status=status, seconds=time.monotonic() - began)

    def _refusal(self, path: str, headers: Headers) -> Refusal | None:
        if path in _OPEN:
            return None
        if self._digest is not None:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            # Digests are of one length, so that the comparison takes one time whatever was sent.
            right = hmac.compare_digest(_digest(key.strip().encode("latin-1", "replace")), self._digest)
            if not right or scheme.lower() != "bearer":
                return Refusal(401, "the API key is missing or wrong: send Authorization: Bearer KEY")
        elif not self._names.include(headers.get("host", "")):  # who has the key is no stranger's page
            return Refusal(421, "this server does not go by that name: see --allowed-host")
        if "origin" in headers:
            return Refusal(403, "requests of web pages are refused")
        announced = headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._max_body_bytes:
            return Refusal(413, f"the body is longer than {self._max_body_bytes} bytes")
        return None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
