"""Web tools against a server of this machine, which they may only reach where that is said."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from understudy.environments.office.web import Web, web_tools
from understudy.environments.tools import Tool, ToolError

PAGES: Mapping[str, tuple[int, str, str]] = {
    "/search": (200, "application/json", json.dumps({"results": [{"title": "A", "url": "http://a", "content": "x"}]})),
    "/page": (200, "text/html", "<head><title>t</title></head><p>One <b>word</b></p><script>no()</script><li>two"),
    "/open": (200, "text/html; charset=none-such", "<html><head><title>t</title><body>Seen<script>no()</script> all"),
    "/round": (302, "text/html", "/round"),
    "/inside": (302, "text/html", "http://127.0.0.1:1/secret"),
    "/picture": (200, "image/png", "x"),
    "/drops": (200, "text/plain", ""),
    "/long": (200, "text/plain", "x" * (3 << 20)),
}


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            if self.path == "/named":
                status, kind, text = 200, "text/plain", self.headers["Host"]
            else:
                status, kind, text = PAGES.get(self.path.partition("?")[0], (404, "text/plain", "no"))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if status == 302:
                self.send_header("Location", text)
            self.end_headers()
            for drop in "x" * 40 if self.path == "/drops" else "":
                self.wfile.write(drop.encode())
                time.sleep(0.05)
            self.wfile.write(text.encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def tools(site: str, *, reaches_private: bool = True) -> tuple[Tool, Tool]:
    search, fetch = web_tools(Web(f"{site}/search?q={{query}}", seconds=5, reaches_private=reaches_private))
    return search, fetch


def test_searching_and_reading(site: str) -> None:
    search, fetch = tools(site)
    assert search.call({"query": "a & b"}) == "A\nhttp://a\nx"
    assert fetch.call({"url": f"{site}/page"}) == "One word\ntwo"
    assert fetch.call({"url": f"{site}/open"}) == "Seen all", "no end of the head, and an encoding that nobody knows"
    assert len(str(fetch.call({"url": f"{site}/long"}))) == 2 << 20


def test_a_page_that_comes_by_drops_is_given_up(site: str) -> None:
    (_, fetch) = web_tools(Web(f"{site}/search", seconds=0.5, reaches_private=True))
    with pytest.raises(ToolError, match="in time"):
        fetch.call({"url": f"{site}/drops"})


@pytest.mark.parametrize("url", ["http://[::1", "http://" + "x" * 70 + ".org/", "http://a..b/", "http://\ud800/"])
def test_addresses_that_are_none_are_told_to_the_agent(site: str, url: str) -> None:
    with pytest.raises(ToolError, match=r"no web address|not known"):
        tools(site)[1].call({"url": url})


@pytest.mark.parametrize("path", ["/gone", "/round", "/picture"])
def test_pages_that_cannot_be_had(site: str, path: str) -> None:
    with pytest.raises(ToolError):
        tools(site)[1].call({"url": site + path})


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x.org/", "no address", "http://[::1]/", "http://10.0.0.1/"]
)
def test_what_only_this_machine_can_reach_is_refused(site: str, url: str) -> None:
    fetch = tools(site, reaches_private=False)[1]
    for one in (url, f"{site}/page", f"{site}/inside"):
        with pytest.raises(ToolError, match=r"no web address|not on the public web"):
            fetch.call({"url": one})


def test_a_name_is_asked_for_once_and_sent_as_it_was_given(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is public when it is looked at, and this machine when it is connected to."""
    real, asked = socket.getaddrinfo, []

    def turning(host: str, port: object, *arguments: object, **options: object) -> object:
        asked.append(host)
        if host == "8.8.8.8":  # nothing leaves this machine
            raise OSError("no route")
        told = {"turns.test": "8.8.8.8" if asked.count(host) == 1 else "127.0.0.1"}
        return real(told.get(host, host), port, *arguments, **options)  # type: ignore[arg-type]

    port = site.rpartition(":")[2]
    assert tools(site)[1].call({"url": f"http://localhost:{port}/named"}) == f"localhost:{port}"
    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", turning)
        with pytest.raises(ToolError, match="cannot be fetched"):
            tools(site, reaches_private=False)[1].call({"url": f"http://turns.test:{port}/page"})
    assert asked.count("turns.test") == 1


def test_a_search_that_is_down(site: str) -> None:
    (search, _) = web_tools(Web("http://127.0.0.1:9/{query}", seconds=1))
    with pytest.raises(ToolError, match="no answer"):
        search.call({"query": "x"})
    (search, _) = web_tools(Web(f"{site}/page?{{query}}", seconds=5))
    with pytest.raises(ToolError, match="no answer"):
        search.call({"query": "x"})
