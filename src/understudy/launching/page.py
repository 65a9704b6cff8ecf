"""The health page of a launch: read-only, on loopback, plain HTML and ``/health.json``."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from understudy.errors import UserMistakeError
from understudy.launching.snapshot import Snapshot
from understudy.training.progress import clock_of

_FRESH_SECONDS = 1.0
_AT_ONCE = 32
_PATIENCE_SECONDS = 10.0
"""A connection that says nothing for so long is closed."""
_WHOLE_SECONDS = 20.0
"""And one whose request is not whole, or whose answer is not taken, after so long."""
_HOSTS = ("127.0.0.1", "localhost")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class HealthPage:
    """Serves snapshots from a thread of its own until it is closed.

    Args:
        look: makes a snapshot. port: of 127.0.0.1; 0 takes a free one.
    Raises:
        UserMistakeError: the port is in use.
    """

    def __init__(self, look: Callable[[], Snapshot], *, port: int = 0) -> None:
        self._look, self._lock = look, threading.Lock()
        self._last: Snapshot | None = None
        page = self

        class Handler(_Handler):
            snapshot = staticmethod(page.snapshot)

        try:
            self._server = _Bounded(("127.0.0.1", port), Handler)
        except OSError as error:
            raise UserMistakeError(
                "the health page cannot listen there",
                got=f"port {port}: {(error.strerror or str(error)).lower()}",
                remedy="Choose another --health-port; 0 takes a free one.",
            ) from error
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def snapshot(self) -> Snapshot:
        """The last snapshot, or a new one where that is older than a second: many readers ask the servers once."""
        with self._lock:
            if self._last is None or time.time() - self._last.at > _FRESH_SECONDS:
                self._last = self._look()
            return self._last

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class _Bounded(ThreadingHTTPServer):
    """At most ``_AT_ONCE`` readers at one time; the connection of the next is closed."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        late = threading.Timer(_WHOLE_SECONDS, _cut, (request,))
        late.daemon = True
        late.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            late.cancel()
            self._places.release()


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # it has gone by itself
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE_SECONDS
    snapshot: Callable[[], Snapshot]
    server_version, sys_version = "understudy", ""

    def do_GET(self) -> None:
        # A page elsewhere could have its own name point to this address: only ours are answered.
        if self.headers.get("Host", "").rpartition(":")[0] not in _HOSTS:
            self._send(403, "text/plain", "this page is for this machine")
        elif self.path == "/health.json":
            self._send(200, "application/json", json.dumps(type(self).snapshot().to_json()))
        elif self.path == "/":
            self._send(200, "text/html; charset=utf-8", page_of(type(self).snapshot()))
        else:
            self._send(404, "text/plain", "there are / and /health.json")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who reads the page is nobody's concern."""

    def _send(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **_HEADERS}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def page_of(snapshot: Snapshot) -> str:
    """The page as HTML; every text in it is escaped."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True)
    environment.filters["clock"] = clock_of
    template = environment.get_template("health.html.jinja")
    return template.render(now=snapshot, made=time.strftime("%H:%M:%S", time.localtime(snapshot.at)))
