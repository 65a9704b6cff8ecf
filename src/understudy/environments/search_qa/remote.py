"""A retriever behind HTTP, in Search-R1's form: it answers in time, or the call fails."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any
from urllib.parse import urlsplit

import httpx

from understudy.errors import ServerAnswerError, ServerDownError, UserMistakeError
from understudy.servers.background import background, waited
from understudy.servers.http import Call, UnavailableError, ask, client_for
from understudy.tasks.retrieval import Document, Hit

_PATH = "/retrieve"
_MAX_BYTES = 64 << 20
_FIRST_WAIT_SECONDS = 0.2
_AT_ONCE = 16  # requests under way
_EXPECTED = 4096
"""Answers that are kept for those who will ask; of more, the oldest go."""


class RemoteRetriever:
    """Implements ``Retriever`` by ``POST /retrieve``.

    Args:
        url: of the server, with or without ``/retrieve`` at its end.
        timeout_seconds: of one attempt. num_tries: attempts at one call, where the server may answer the next time.
            Once all have failed, calls fail at once for ``timeout_seconds``: a batch does not wait for it one by one.
    Raises:
        UserMistakeError: that is no address.
    """

    def __init__(self, url: str, *, timeout_seconds: float = 30.0, num_tries: int = 3) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UserMistakeError("the retriever's address cannot be used", got=repr(url), expected="http://HOST:PORT")
        self.url = url.rstrip("/").removesuffix(_PATH)
        self._timeout_seconds, self._num_tries = timeout_seconds, num_tries
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._client: httpx.AsyncClient | None = None
        self._left_alone_until = 0.0
        self._expected: OrderedDict[tuple[str, int], Future[list[list[Hit]]]] = OrderedDict()

    def expect(self, query: str, *, top_k: int) -> None:
        """Begin to search for one query; ``retrieve`` of it alone picks the answer up, however often it is asked."""
        if (query, top_k) not in self._expected:
            self._expected[query, top_k] = background().submit(self._found([query], top_k))
        while len(self._expected) > _EXPECTED:
            self._expected.popitem(last=False)[1].cancel()

    def retrieve(self, queries: Sequence[str], *, top_k: int) -> list[list[Hit]]:
        """For each query at most ``top_k`` documents, as the server orders them.

        Raises:
            ServerDownError: no answer after all attempts. ServerAnswerError: an answer of another form.
            ServerError: the server refuses.
        """
        if not queries:
            return []
        begun = self._expected.get((queries[0], top_k)) if len(queries) == 1 else None
        if begun is None or begun.cancelled():
            return background().run(self._found(queries, top_k))
        if begun.done() and begun.exception() is not None:
            del self._expected[queries[0], top_k]  # whoever asks next asks anew
        return waited(begun)

    async def _found(self, queries: Sequence[str], top_k: int) -> list[list[Hit]]:
        body = {"queries": list(queries), "topk": top_k, "return_scores": True}
        call = Call(_PATH, lambda answer: _hits(answer, num_queries=len(queries), top_k=top_k), body)
        self._client = client = self._client or client_for(self.url, key=None, concurrency=_AT_ONCE)
        async with self._turn:
            reason = "found down a moment ago"
            for attempt in range(self._num_tries if time.monotonic() >= self._left_alone_until else 0):
                if attempt:
                    await asyncio.sleep(_FIRST_WAIT_SECONDS * 2 ** (attempt - 1))
                try:
                    return await ask(client, call, timeout_seconds=self._timeout_seconds, max_bytes=_MAX_BYTES)
                except UnavailableError as error:
                    reason = f"{error.reason}, {attempt + 1} times"
                    if attempt + 1 == self._num_tries:
                        self._left_alone_until = time.monotonic() + self._timeout_seconds
        raise ServerDownError(
            f"the retriever at {self.url} does not answer",
            got=reason,
            remedy="Start it (understudy retrieve CORPUS), or correct environment.retriever_url.",
        )


def _hits(answer: Any, *, num_queries: int, top_k: int) -> list[list[Hit]]:
    try:
        lists = answer["result"]
        found = [[_hit(one) for one in hits] for hits in lists]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(str(answer)[:120]) from error
    if len(found) != num_queries:
        raise _unreadable(f"{len(found)} lists for {num_queries} queries")
    return [hits[:top_k] for hits in found]


def _hit(one: Any) -> Hit:
    """A document with its score, or bare, as servers without scores send it."""
    document, score = (one["document"], float(one["score"])) if "document" in one else (one, 0.0)
    contents = document["contents"]
    if not isinstance(contents, str) or not math.isfinite(score):
        raise ValueError("no document")
    return Hit(Document(str(document.get("id", "")), contents), score)


def _unreadable(got: str) -> ServerAnswerError:
    return ServerAnswerError(
        "the retriever's answer cannot be used",
        got=got,
        expected='{"result": [[{"document": {"id", "contents"}, "score"}, ...], ...]}, one list a query',
        remedy="Check what answers at environment.retriever_url.",
    )
