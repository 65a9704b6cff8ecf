"""What a client can do to a server of this package by sending too much, too slowly, or nothing at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn

from understudy.host_names import HostNames
from understudy.listening import (
    HEADER_BYTES,
    App,
    BoundedBody,
    BoundedHttp,
    Message,
    OwnNames,
    Receive,
    Send,
    bounded_config,
)

LONG_BYTES = 64 << 20


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with the number of bytes it was sent."""
    body, more = b"", True
    if scope["path"] == "/long":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(LONG_BYTES)})
        return
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


class Hasty(BoundedHttp):
    header_seconds = taking_seconds = 0.4


@contextmanager
def running(protocol: type[BoundedHttp]) -> Iterator[tuple[str, int]]:
    app: App = OwnNames(BoundedBody(echo, most_bytes=1000, seconds=0.6), HostNames("127.0.0.1"))
    config = bounded_config(app, connections=4, log_config=None)
    config.http = protocol
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield listening.getsockname()
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with running(Hasty) as address:
        yield address


def sent(address: tuple[str, int], content: bytes, *, drip: float = 0.0) -> bytes:
    """What comes back before the server closes, or for two seconds."""
    with socket.create_connection(address, timeout=2) as connection:
        pieces = [content[n : n + 1] for n in range(len(content))] if drip else [content]
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(drip)
            return connection.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            return b""


def test_an_ordinary_request_is_answered(address: tuple[str, int]) -> None:
    with httpx.Client(base_url=f"http://{address[0]}:{address[1]}") as client:
        assert [client.post("/", content=b"x" * size).text for size in (0, 1, 1000)] == ["0", "1", "1000"]
        time.sleep(0.6)
        assert client.get("/").text == "0", "a connection may rest between requests for longer than headers may take"


def test_a_name_that_is_not_its_own_is_refused(address: tuple[str, int]) -> None:
    url = f"http://{address[0]}:{address[1]}/"
    assert httpx.post(url, headers={"Host": "evil.example"}, content=b"x").status_code == 421
    assert sent(address, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421"), "no name at all"


@pytest.mark.parametrize("body", [b"x" * 1001, iter([b"x" * 600, b"x" * 600])], ids=["announced", "in chunks"])
def test_a_body_that_is_too_long_is_refused(address: tuple[str, int], body: object) -> None:
    answer = httpx.post(f"http://{address[0]}:{address[1]}/", content=body)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (413, {"detail": "the body is longer than 1000 bytes"})


def test_a_body_that_does_not_end_is_refused(address: tuple[str, int]) -> None:
    answer = sent(address, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408")


def test_headers_that_are_too_long_are_refused(address: tuple[str, int]) -> None:
    answer = sent(address, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * (HEADER_BYTES + 1))
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("content", [b"", b"GET / HTTP/1.1\r\nX: " + b"a" * 50])
def test_a_connection_that_never_says_what_it_wants_is_closed(address: tuple[str, int], content: bytes) -> None:
    began = time.monotonic()
    assert sent(address, content, drip=0.03) == b""
    assert 0.3 < time.monotonic() - began < 1.9


def test_requests_beyond_the_connections_are_put_off(address: tuple[str, int]) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    held = [socket.create_connection(address, timeout=10) for _ in range(8)]
    try:
        for connection in held:
            connection.sendall(head)
        answers = [connection.recv(65536)[:12] for connection in held]
    finally:
        for connection in held:
            connection.close()
    assert set(answers) <= {b"HTTP/1.1 408", b"HTTP/1.1 503"}, "they wait for their bodies, or are sent away"
    assert answers.count(b"HTTP/1.1 503") >= 4


def test_connections_far_beyond_the_bound_hold_nothing() -> None:
    """They are closed before they have said anything, and not after the thirty seconds that headers may take."""
    with running(BoundedHttp) as address:
        held = [socket.create_connection(address, timeout=10) for _ in range(600)]
        try:
            assert held[-1].recv(1) == b"" and held[300].recv(1) == b""
            assert files_open() < 600 + 200, "this process has the clients' ends as well"
        finally:
            for connection in held:
                connection.close()
        until = time.monotonic() + 10
        while (status := httpx.get(f"http://{address[0]}:{address[1]}/").status_code) != 200:
            assert status == 503 and time.monotonic() < until


def files_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_reader_that_does_not_take_its_answer_is_let_go(address: tuple[str, int]) -> None:
    """Else every such reader keeps a place and a whole answer in memory for ever."""
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(2.0)
        size = 0
        with suppress(ConnectionResetError):
            while piece := connection.recv(1 << 20):
                size += len(piece)
    assert 0 < size < LONG_BYTES


def test_a_reader_that_takes_its_answer_slowly_gets_it(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        began, size = time.monotonic(), 0
        while piece := connection.recv(1 << 20):
            size += len(piece)
            time.sleep(0.015)
    assert size > LONG_BYTES and time.monotonic() - began > 2 * Hasty.taking_seconds
