"""What every request meets first: whom it is for, what it may ask, and the headers that every answer carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import Response
from fastapi.datastructures import Headers
from fastapi.responses import PlainTextResponse

from understudy.watching.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
"""ASGI's own shapes."""

LONGEST_QUERY = 8192
_LONGEST_PATH = 512

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of the watcher's own pages: files of ours run and style them, and nothing else."""

_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "cache-control": "no-cache, private",
}


class Guard:
    """ASGI middleware: reading only, bounded, for those who named this machine; every answer with its policy."""

    def __init__(self, app: App, *, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                known = {name.lower() for name, _ in message["headers"]}
                missing = {name.encode(): value.encode() for name, value in _HEADERS.items()}
                message["headers"] = [*message["headers"], *(one for one in missing.items() if one[0] not in known)]
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, headed)

    def _refusal(self, scope: Message) -> Response | None:
        headers = Headers(scope=scope)
        if not self._settings.names.include(headers.get("host", "")):
            return _refused(421, "This server does not go by that name.")
        if scope["method"] not in ("GET", "HEAD"):
            return _refused(405, "This server only shows; nothing can be changed through it.")
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return _refused(413, "Requests have no body here.")
        if len(scope["query_string"]) > LONGEST_QUERY or len(scope["path"]) > _LONGEST_PATH:
            return _refused(414, "The address is too long.")
        # Another site may link here, but not read or embed what is shown.
        is_foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if is_foreign and headers.get("sec-fetch-mode") != "navigate":
            return _refused(403, "Requests of other sites are refused.")
        return None


def _refused(status: int, why: str) -> Response:
    return PlainTextResponse(why + "\n", status_code=status)
