"""What a client can do to a server of this package by sending too much, too slowly, or nothing at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

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


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Answers with the number of bytes it was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


class Hasty(BoundedHttp):
    header_seconds = 0.4


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    app: App = OwnNames(BoundedBody(echo, most_bytes=1000, seconds=0.6), HostNames("127.0.0.1"))
    config = bounded_config(app, connections=4, log_config=None)
    config.http = Hasty
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
