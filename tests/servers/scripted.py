"""A small HTTP server whose every answer a test writes: for faults that a healthy server does not have."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What to send.

    Args:
        content: JSON-able, or bytes as they are. status: of HTTP. headers: further ones.
        cut: close the connection after so many bytes of the body. drip_seconds: between single bytes.
        wait_seconds: before the first byte.
    """

    content: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    drip_seconds: float = 0.0
    wait_seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]


Answer = Callable[[Asked], Reply]


class ScriptedServer:
    """Answers by ``answer``; keeps every request in ``asked``."""

    def __init__(self, answer: Answer, *, port: int = 0) -> None:
        self.answer, self.asked = answer, list[Asked]()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._http.server_address[1]

    def count(self, path: str) -> int:
        """Requests for that path."""
        return sum(one.path.partition("?")[0] == path for one in self.asked)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet: no waiting for an acknowledgement

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                self._respond(None)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self._respond(json.loads(self.rfile.read(length)))

            def _respond(self, body: Any) -> None:
                asked = Asked(self.command, self.path, body, dict(self.headers))
                owner.asked.append(asked)
                try:
                    _send(self, owner.answer(asked))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

        return Handler


def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    time.sleep(reply.wait_seconds)
    body = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
    handler.send_response(reply.status)
    for name, value in reply.headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if reply.drip_seconds:
        for byte in body:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(reply.drip_seconds)
        return
    handler.wfile.write(body if reply.cut is None else body[: reply.cut])
    handler.wfile.flush()
    if reply.cut is not None:
        handler.close_connection = True


@contextmanager
def scripted(answer: Answer, *, port: int = 0) -> Iterator[ScriptedServer]:
    """A running server, closed afterwards."""
    server = ScriptedServer(answer, port=port)
    try:
        yield server
    finally:
        server.close()
