"""A server on this machine that answers as none should: each way in which a call over a network goes wrong."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST_SECONDS = 32.0
"""No fault goes on for longer, whatever the client does; longer than any call may take."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass
class Met:
    """One request that is to go wrong.

    Args:
        connection: of the client. over: set when the server closes.
    """

    connection: socket.socket
    over: threading.Event

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def answer(self, status: str, body: bytes, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def on_and_on(self, piece: bytes, *, pause: float) -> None:
        until = time.monotonic() + LONGEST_SECONDS
        while time.monotonic() < until and not self.over.wait(pause):
            self.send(piece)


def _cut_short(met: Met, *, reset: bool) -> None:
    met.send(_HEAD + b'Content-Length: 9999\r\n\r\n{"choices": [')
    if reset:
        time.sleep(0.05)  # the client is in the middle of the body
        met.reset()


def _endless(met: Met, piece: bytes, *, pause: float) -> None:
    met.send(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    met.on_and_on(b"%x\r\n%s\r\n" % (len(piece), piece), pause=pause)


def _dripped_headers(met: Met, piece: bytes) -> None:
    met.send(_HEAD + b"X-First: ")
    met.on_and_on(piece, pause=0.05)


def _wrong_types(met: Met) -> None:
    """Every key that any of our clients reads, with values of other kinds."""
    keys = "choices usage data result results understudy model_config prompt_logprobs weight_version id success tokens"
    met.answer("200 OK", json.dumps({key: [None, {"message": 7}, "x"] for key in keys.split()}).encode())


FAULTS: dict[str, Callable[[Met], None]] = {
    "refused": lambda met: met.reset(),  # and the server listens no more
    "reset before the answer": lambda met: met.reset(),
    "reset in mid-body": lambda met: _cut_short(met, reset=True),
    "half an answer": lambda met: _cut_short(met, reset=False),
    "silence": lambda met: met.on_and_on(b"", pause=0.1),
    "a byte now and then": lambda met: _endless(met, b" ", pause=0.05),
    "an endless body": lambda met: _endless(met, b"[" * 65536, pause=0.001),
    "a header now and then": lambda met: _dripped_headers(met, b"X-More: 1\r\n"),
    "a header's letters now and then": lambda met: _dripped_headers(met, b"x"),
    "endless headers": lambda met: met.on_and_on(b"X-More: " + b"x" * 9000 + b"\r\n", pause=0.01),
    "no HTTP": lambda met: met.send(b"\x16\x03\x01 SSH-2.0 hello\r\n\r\n"),
    "500": lambda met: met.answer("500 Internal Server Error", b"<h1>Traceback (most recent call last)</h1>"),
    "503": lambda met: met.answer("503 Service Unavailable", b"{}"),
    "429, retry after a second": lambda met: met.answer("429 Too Many", b'{"error": "slow"}', "Retry-After: 1"),
    "429, retry next year": lambda met: met.answer("429 Too Many", b"{}", "Retry-After: 31536000"),
    "302 to itself": lambda met: met.answer("302 Found", b"", "Location: /v1/models"),
    "200 with a page": lambda met: met.answer("200 OK", b"<html>Sign in</html>", "Content-Type: text/html"),
    "200 with nothing": lambda met: met.answer("200 OK", b""),
    "JSON of other types": _wrong_types,
    "JSON null": lambda met: met.answer("200 OK", b"null"),
    "JSON nested too deep": lambda met: met.answer("200 OK", b"[" * 5000 + b"]" * 5000),
    "a bomb of zeros": lambda met: met.answer(
        "200 OK", gzip.compress(bytes(32 << 20), 1), "Content-Encoding: gzip", "Content-Type: text/plain"
    ),
    "no such compression": lambda met: met.answer("200 OK", b"xyz", "Content-Encoding: gzip"),
    "no such alphabet": lambda met: met.answer("200 OK", b"\xff\xfe", "Content-Type: text/plain; charset=klingon"),
}
"""Each way, by name."""


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    path: str
    body: bytes


@dataclass
class HostileServer:
    """Does one of ``FAULTS`` to every request, and counts them in ``asked``; a context manager.

    Args:
        well: gives what a request is answered rightly; None where the fault is to strike it.
    """

    fault: str
    asked: int = 0
    well: Callable[[Request], bytes | None] = lambda _: None
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> HostileServer:
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._stop_listening()

    def _stop_listening(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        if self.over.is_set():
            self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(LONGEST_SECONDS)
            if (request := _request_of(connection)) is not None:
                self.asked += 1
                met = Met(connection, self.over)
                if (answer := self.well(request)) is not None:
                    met.answer("200 OK", answer, "Content-Type: application/json")
                    return
                if self.fault == "refused":
                    self._stop_listening()
                FAULTS[self.fault](met)


def _request_of(connection: socket.socket) -> Request | None:
    """Read one request; None where the client has gone."""
    content = b""
    while b"\r\n\r\n" not in content:
        piece = connection.recv(65536)
        if not piece:
            return None
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    while len(body) < int(headers.get("content-length", 0)):
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return Request(lines[0].split(" ")[1], body)
