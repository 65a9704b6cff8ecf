"""One request and its answer, with a bound on its time and its size, and a verdict on what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import httpx

from understudy.errors import ServerAnswerError, ServerError, ServerKeyError, UnderstudyError, UserMistakeError

T = TypeVar("T")
NO_CONNECTION = "no connection"
"""How the reason begins where nobody listens at an address."""

_AGAIN_LATER = {408, 425, 429, 502, 503, 504}
_FROM_A_PROXY = {502, 504}
_SHOWN = 300
_REFUSAL_BYTES = 1 << 16
_CONNECT_SECONDS = 10.0
_TRIES_OF_A_FAULT = 3


@dataclass(frozen=True, eq=False)
class Call(Generic[T]):
    """What is asked, and how the answer is read.

    Args:
        path: under the server's address. read: from the parsed answer to what is wanted; raises ServerAnswerError.
        body: sent as JSON; None asks with GET. is_json: the answer is parsed; else ``read`` gets its bytes.
        otherwise: asked in its place where ``read`` raises ``UnfilledRowsError``.
        seconds: the answer may take so long, whatever the patience of who asks; None leaves it to that.
    """

    path: str
    read: Callable[[Any], T]
    body: Mapping[str, object] | None = None
    is_json: bool = True
    otherwise: Call[T] | None = None
    seconds: float | None = None


class UnfilledRowsError(ServerAnswerError):
    """The server has left rows out that a fuller pass would give."""


class UnavailableError(Exception):
    """No answer this time, and it is worth asking again.

    Args:
        reason: in a few words. wait_seconds: how long the server asks to be left alone. tries: give up after so many.
        is_lost: another process may answer the next time; false where the server itself said that it cannot now.
    """

    def __init__(
        self, reason: str, *, wait_seconds: float = 0.0, tries: int | None = None, is_lost: bool = True
    ) -> None:
        super().__init__(reason)
        self.reason, self.wait_seconds, self.tries, self.is_lost = reason, wait_seconds, tries, is_lost


class RefusedError(ServerError):
    """The server will never answer this request; ``status`` is its HTTP status."""

    def __init__(self, what: str, *, status: int, got: object, remedy: str | None = None) -> None:
        super().__init__(what, got=got, remedy=remedy)
        self.status = status


def client_for(url: str, *, key: str | None, concurrency: int) -> httpx.AsyncClient:
    """A session with one address; a proxy of the environment is not used for this machine itself.

    Raises:
        UserMistakeError: it is no address; it is not shown, for it may hold a secret.
    """
    host = _host_of(url)
    return httpx.AsyncClient(
        base_url=url,
        headers={"Accept-Encoding": "identity"} | ({} if key is None else {"Authorization": f"Bearer {key}"}),
        limits=httpx.Limits(max_connections=concurrency + 2, max_keepalive_connections=concurrency + 2),
        trust_env=host not in ("localhost", "127.0.0.1", "::1"),
    )


def _host_of(url: str) -> str:
    with contextlib.suppress(httpx.InvalidURL, ValueError):
        parts = urlsplit(url)
        if httpx.URL(url).host and parts.hostname and parts.port != 0:  # to ask for a port finds one that is none
            return parts.hostname
    raise UserMistakeError("the address of a server cannot be read", expected="one such as http://localhost:8000")


async def ask(client: httpx.AsyncClient, call: Call[T], *, timeout_seconds: float, max_bytes: int) -> T:
    """One attempt.

    Raises:
        UnavailableError: connection lost, time over, or the server asks to be asked later.
        RefusedError: it will never answer this. ServerKeyError: it wants another key.
        ServerAnswerError: the answer is too long, no JSON, or not what ``call.read`` can read.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            status, headers, content = await _exchange(client, call, timeout_seconds=timeout_seconds, limit=max_bytes)
    except TimeoutError as error:
        raise UnavailableError(f"no whole answer within {timeout_seconds:g} s") from error
    except httpx.TransportError as error:
        raise UnavailableError(f"{_words(error)}{f': {error}' if str(error) else ''}") from error
    except httpx.DecodingError as error:
        raise ServerAnswerError("the answer is not compressed as it says", got=str(error)) from error
    if status >= 300:
        raise _verdict(status, headers, content)
    return _read(call, _parsed(content) if call.is_json else content)


async def _exchange(
    client: httpx.AsyncClient, call: Call[T], *, timeout_seconds: float, limit: int
) -> tuple[int, httpx.Headers, bytes]:
    timeout = httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS))
    method = "GET" if call.body is None else "POST"
    content = bytearray()
    async with client.stream(method, call.path, json=call.body, timeout=timeout) as response:
        if response.status_code >= 300:
            limit = min(limit, _REFUSAL_BYTES)
        async for part in response.aiter_bytes():
            content += part
            if len(content) > limit and response.status_code < 300:
                raise ServerAnswerError(
                    "the answer is longer than any answer may be",
                    got=f"more than {limit:,} bytes",
                    remedy="Ask for fewer log-probs a row or shorter rollouts.",
                )
            if len(content) > limit:
                break
        return response.status_code, response.headers, bytes(content)


def _words(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return NO_CONNECTION
    return "no answer in time" if isinstance(error, httpx.TimeoutException) else "connection lost"


def _read(call: Call[T], answer: Any) -> T:
    """What is wanted of an answer; whatever it holds in place of what it should is the server's fault, not ours."""
    try:
        return call.read(answer)
    except (UnderstudyError, UnavailableError):
        raise
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ServerAnswerError(
            "the answer is not of the form that was asked for",
            got=_shown(f"{type(error).__name__}: {error}"),
            remedy="Check that the server is of a version that the documentation names.",
        ) from error


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ServerAnswerError(
            "the answer is no JSON", got=_shown(content), remedy="Check what answers at this address."
        ) from error


def _verdict(status: int, headers: httpx.Headers, content: bytes) -> Exception:
    message = _message(content)
    if status in (401, 403):
        return ServerKeyError(
            "the server refuses the API key" if status == 403 else "the server wants a valid API key",
            got=f"HTTP {status}: {message}",
            remedy="Put the key into an environment variable and name it in api_key_env; it may have expired.",
        )
    if status in _AGAIN_LATER:
        wait = _seconds(headers.get("retry-after"))
        return UnavailableError(f"HTTP {status}: {message}", wait_seconds=wait, is_lost=status in _FROM_A_PROXY)
    if status >= 500:
        return UnavailableError(f"HTTP {status}: {message}", tries=_TRIES_OF_A_FAULT, is_lost=False)
    remedy = "Check that the address is that of a model server." if status < 400 or status == 404 else None
    return RefusedError("the server refuses the request", status=status, got=f"HTTP {status}: {message}", remedy=remedy)


def _message(content: bytes) -> str:
    """What the server says of its refusal, in one line."""
    try:
        said = json.loads(content)
        error = said.get("error", said.get("detail", said))
        return _shown(error["message"] if isinstance(error, dict) and "message" in error else error)
    except (ValueError, AttributeError, RecursionError):
        return _shown(content)


def _shown(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    text = " ".join(text.split())
    return (text or "nothing") if len(text) <= _SHOWN else text[:_SHOWN] + " ..."


def _seconds(text: str | None) -> float:
    """Of a Retry-After header; 0 where it is missing, a date, or no sensible number."""
    try:
        return min(60.0, max(0.0, float(text or 0)))
    except ValueError:
        return 0.0
