"""``web_search`` and ``fetch_web_page``: offered only where somebody has said which server searches."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

import httpx

from understudy.environments.tools.tool import Tool, ToolError, parameters
from understudy.servers.background import background

_MOST_BYTES = 2 << 20
_MOST_REDIRECTS = 5
_UNSEEN = {"script", "style", "noscript", "template", "svg", "head"}


@dataclass(frozen=True)
class Web:
    """How the web is reached.

    Args:
        search_url: answers ``{query}`` with JSON ``{"results": [{"title", "url", "content"}]}``, as SearXNG does.
        seconds: for one answer, to its last byte. most_results: of a search. reaches_private: pages of this machine
            and of private networks may be fetched too.
    """

    search_url: str
    seconds: float = 30.0
    most_results: int = 8
    reaches_private: bool = False


def web_tools(web: Web | None) -> Sequence[Tool]:
    """Both tools; none without a web."""
    if web is None:
        return ()
    return (
        Tool(
            "web_search",
            "Searches the web and gives titles, addresses and excerpts.",
            parameters({"query": "what to search for"}),
            lambda arguments: _search(web, str(arguments["query"])),
        ),
        Tool(
            "fetch_web_page",
            "Gives the text of a web page.",
            parameters({"url": "of the page, http or https"}),
            lambda arguments: _fetch(web, str(arguments["url"])),
        ),
    )


def _search(web: Web, query: str) -> str:
    try:
        url = web.search_url.replace("{query}", quote(query, safe=""))
        page = _page(web, url, addresses=())
        if page.status >= 300:
            raise ToolError("the search gave no answer", got=f"HTTP {page.status}")
        results = json.loads(page.content)["results"][: web.most_results]
        lines = [f"{one['title']}\n{one['url']}\n{one.get('content') or ''}".strip() for one in results]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ToolError("the search gave no answer", got=type(error).__name__) from error
    return "\n\n".join(lines) or "nothing was found"


def _fetch(web: Web, url: str) -> str:
    for _ in range(_MOST_REDIRECTS):
        addresses = _addresses(web, url)
        try:
            page = _page(web, url, addresses=addresses)
            if page.leads_to is None:
                return _text(page)
            # From the page that was named: the address that was asked only stands for it.
            url = str(httpx.URL(url).join(page.leads_to))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
            raise ToolError(f"{url[:200]} cannot be fetched", got=f"{type(error).__name__}: {error}"[:200]) from error
    raise ToolError("the page leads from one address to the next without end")


@dataclass(frozen=True)
class _Page:
    status: int
    kind: str
    alphabet: str
    leads_to: str | None
    content: bytes


def _page(web: Web, url: str, *, addresses: Sequence[str]) -> _Page:
    """What answers there; httpx itself bounds the wait for each piece, of headers or body, and not for all of them."""
    try:
        return background().run(_in_time(web, url, addresses))
    except TimeoutError as error:
        raise ToolError("the page does not come in time", got=f"not all of it in {web.seconds:g} s") from error


async def _in_time(web: Web, url: str, addresses: Sequence[str]) -> _Page:
    async with (
        asyncio.timeout(web.seconds),
        httpx.AsyncClient(timeout=web.seconds, follow_redirects=False) as client,
        AsyncExitStack() as answers,
    ):
        response = await _answer(client, answers, url, addresses)
        leads_to = response.headers["location"] if response.is_redirect else None
        return _Page(
            status=response.status_code,
            kind=response.headers.get("content-type", ""),
            alphabet=response.charset_encoding or "utf-8",
            leads_to=leads_to,
            content=b"" if leads_to is not None else await _content(response),
        )


async def _answer(
    client: httpx.AsyncClient, answers: AsyncExitStack, url: str, addresses: Sequence[str]
) -> httpx.Response:
    """Ask the very addresses that were looked at, in turn, by the name that was given.

    A name that is looked up again may lead elsewhere. Without addresses a proxy looks it up.
    """
    if not addresses:
        return await answers.enter_async_context(client.stream("GET", url))
    named = httpx.URL(url)
    headers, extensions = {"Host": named.netloc.decode()}, {"sni_hostname": named.raw_host.decode()}
    *others, last = (named.copy_with(host=address) for address in addresses)
    for place in others:
        with suppress(httpx.ConnectError, httpx.ConnectTimeout):
            asked = client.stream("GET", place, headers=headers, extensions=extensions)
            return await answers.enter_async_context(asked)
    return await answers.enter_async_context(client.stream("GET", last, headers=headers, extensions=extensions))


async def _content(response: httpx.Response) -> bytes:
    """The body, cut at its bound."""
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > _MOST_BYTES:
            break
    return bytes(content[:_MOST_BYTES])


def _text(page: _Page) -> str:
    if page.status >= 400:
        raise ToolError("the page cannot be had", got=f"HTTP {page.status}")
    if not page.kind.startswith(("text/", "application/json", "application/xml", "application/xhtml")):
        raise ToolError("the page is no text", got=page.kind or "no content type")
    try:
        text = page.content.decode(page.alphabet, "replace")
    except LookupError:  # an alphabet that nobody knows
        text = page.content.decode("utf-8", "replace")
    return _words(text) if "html" in page.kind else text


def _addresses(web: Web, url: str) -> Sequence[str]:
    """Where the host is, nothing where a proxy looks names up.

    Raises:
        ToolError: it is not known, or one of its addresses is private: what only this machine can reach is no agent's.
    """
    host = _host(url)
    try:
        found = [str(one[4][0]).partition("%")[0] for one in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:  # the second for names that no host can have
        raise ToolError(f"{host[:200]} is not known") from error
    if not web.reaches_private and any(not ipaddress.ip_address(one).is_global for one in found):
        raise ToolError(f"{host} is not on the public web")
    return [] if getproxies() else list(dict.fromkeys(found))


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that hold no address
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ToolError(f"{url[:200]} is no web address", expected="http or https")
    return parts.hostname


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden = 0 if tag == "body" else self._hidden + (tag in _UNSEEN)  # a head need not be closed
        if tag in ("p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4"):
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in _UNSEEN and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def _words(html: str) -> str:
    reader = _Reader()
    with suppress(AssertionError):  # the parser's answer to marked sections that never were; what came before is kept
        reader.feed(html)
    lines = (" ".join(line.split()) for line in "".join(reader.words).splitlines())
    return "\n".join(line for line in lines if line)
