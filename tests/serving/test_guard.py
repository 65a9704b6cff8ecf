"""The hard shell: keys, sizes, nesting, and what a web page may not do."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.serving.asking import refused
from tests.serving.conftest import tiny_loaded
from tests.serving.served import running_server, served_model

KEY = "correct-horse-battery"
ROUTES = ("/v1/models", "/server_info", "/metrics", "/understudy/head", "/no/such/route")


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    with served_model(tiny_loaded(), api_key=KEY, max_body_bytes=2000) as url:
        yield url


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "header", [None, "Bearer wrong", KEY, f"Basic {KEY}", f"Bearer {KEY}x", "Bearer", "Bearer \xe9"]
)
def test_without_the_key_every_route_but_health_is_shut(locked: str, route: str, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    refused(httpx.get(locked + route, headers=headers), 401, "Authorization: Bearer KEY")
    assert httpx.get(f"{locked}/health", headers=headers).status_code == 200


def test_the_key_opens(locked: str) -> None:
    for scheme in ("Bearer", "bearer"):
        found = httpx.get(f"{locked}/v1/models", headers={"Authorization": f"{scheme} {KEY}"})
        assert found.status_code == 200


def test_the_key_stands_in_no_log_and_no_answer(
    locked: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    with caplog.at_level(logging.DEBUG, logger="uvicorn"), caplog.at_level(logging.DEBUG, logger="understudy"):
        answers = [httpx.get(locked + route, headers=headers) for route in ROUTES]
        answers.append(httpx.post(f"{locked}/inference/v1/generate", headers=headers, json={"token_ids": [99]}))
        answers.append(httpx.get(f"{locked}/v1/models", headers={"Authorization": f"Bearer {KEY}x"}))
    written = "".join([caplog.text, *capsys.readouterr(), *(answer.text for answer in answers)])
    assert KEY not in written
    with running_server(tiny_loaded(), api_key=KEY) as server:
        assert KEY not in repr(server.settings) + repr(server.service)


def test_long_bodies_are_refused_announced_or_not(locked: str) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    route = f"{locked}/inference/v1/generate"
    long = json.dumps({"token_ids": [2] * 2000}).encode()
    refused(httpx.post(route, content=long, headers=headers), 413, "longer than 2000 bytes")
    pieces = (long[start : start + 500] for start in range(0, len(long), 500))
    refused(httpx.post(route, content=pieces, headers=headers), 413, "longer than 2000 bytes")


def test_an_endless_body_is_cut_off(locked: str) -> None:
    """A client that announces a terabyte and sends on is answered, and not listened to."""
    host, port = locked.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        lines = [
            "POST /inference/v1/generate HTTP/1.1",
            "Host: x",
            f"Authorization: Bearer {KEY}",
            "Content-Length: 1000000000000",
            "Content-Type: application/json",
        ]
        raw.sendall(("\r\n".join(lines) + "\r\n\r\n[").encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[" * 1000, "recursion limit"),
        (b'{"token_ids": [2], "sampling_params": {"temperature": NaN}}', ""),
        (b'{"token_ids": [2], "sampling_params": {"temperature": 1e999}}', "finite"),
        (b'{"token_ids": ["\xff"]}', "JSON"),
        (b"[]", "object"),
        (b"null", "object"),
    ],
)
def test_what_is_no_json_object_is_refused(client: httpx.Client, raw: bytes, words: str) -> None:
    response = client.post("/inference/v1/generate", content=raw, headers={"Content-Type": "application/json"})
    refused(response, 400, words)


def test_what_a_web_page_could_send_is_refused(client: httpx.Client) -> None:
    page = {"Origin": "http://page.example"}
    refused(client.get("/v1/models", headers=page), 403, "web pages")
    body = b'{"token_ids": [2]}'
    refused(client.post("/inference/v1/generate", content=body, headers={"Content-Type": "text/plain"}), 415, "JSON")
    refused(client.post("/inference/v1/generate", content=body), 415, "JSON")


def test_a_name_that_is_not_its_own_is_refused(client: httpx.Client, locked: str) -> None:
    """DNS rebinding: a page of evil.example whose name leads here. Who has the key is no page of a stranger."""
    for name in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example"):
        refused(client.get("/v1/models", headers={"Host": name}), 421, "--allowed-host")
        refused(client.post("/tokenize", headers={"Host": name}, json={"prompt": "w1"}), 421)
    assert client.get("/v1/models", headers={"Host": "localhost:1"}).status_code == 200
    named = {"Host": "gpu.example", "Authorization": f"Bearer {KEY}"}
    assert httpx.get(f"{locked}/v1/models", headers=named).status_code == 200


def test_unknown_routes_and_methods_have_the_form_of_the_wire(client: httpx.Client) -> None:
    refused(client.get("/no/such/route"), 404)
    refused(client.get("/inference/v1/generate"), 405)
    for route in ("/docs", "/openapi.json", "/redoc"):
        refused(client.get(route), 404)
