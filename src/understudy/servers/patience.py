"""Asks any model server over HTTP, again where that may help: the server needs no route but the one that is asked."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TypeVar

import httpx

from understudy.errors import ServerDownError, ServerError, UserMistakeError
from understudy.servers.http import NO_CONNECTION, Call, UnavailableError, ask, client_for
from understudy.servers.settings import ServerSettings

T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 20.0


class PatientClient:
    """One address, asked by at most ``max_concurrency`` calls at a time; each call has its own patience.

    Args:
        settings: the first address counts; ``deadline_seconds`` is how long one call is tried.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings, self.url = settings, settings.urls[0]
        self._client: httpx.AsyncClient | None = None
        self._slots: asyncio.Semaphore | None = None
        self._unanswered = 0

    async def ask(self, call: Call[T]) -> T:
        """The answer; asked again, with growing waits, where the connection is lost or the server is busy.

        Raises:
            ServerDownError: nobody, not even another call, got an answer within the deadline.
            ServerError: this call got none, or was refused, or the answer cannot be used. ServerKeyError: the key.
        """
        if self._client is None or self._slots is None:
            settings = self.settings
            self._client = client_for(self.url, key=settings.key, concurrency=settings.max_concurrency)
            self._slots = asyncio.Semaphore(settings.max_concurrency)
        async with self._slots:
            try:
                return await self._tried(self._client, call)
            except (ServerError, UserMistakeError) as error:
                error.what = error.what if error.what.startswith(self.url) else f"{self.url}: {error.what}"
                error.got = None if error.got is None else self._without_key(str(error.got))
                raise

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _tried(self, client: httpx.AsyncClient, call: Call[T]) -> T:
        begun, number = time.monotonic(), 0
        while True:
            try:
                answer = await ask(
                    client,
                    call,
                    timeout_seconds=self.settings.timeout_seconds,
                    max_bytes=self.settings.max_reply_bytes,
                )
            except UnavailableError as failure:
                number += 1
                await asyncio.sleep(self._wait(failure, number, begun))
            except ServerError:
                self._unanswered = 0
                raise
            else:
                self._unanswered = 0
                return answer

    def _wait(self, failure: UnavailableError, number: int, begun: float) -> float:
        """Seconds until the next attempt; raises where this was the last."""
        wait = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(number - 1, 10))
        wait = max(failure.wait_seconds, wait * random.uniform(0.5, 1.0))  # spread, so that not all come back at once
        is_over = time.monotonic() + wait - begun > self.settings.deadline_seconds
        if not is_over and (failure.tries is None or number < failure.tries):
            return wait
        self._unanswered += 1
        is_down = failure.reason.startswith(NO_CONNECTION) or self._unanswered > 2 * self.settings.max_concurrency
        kind = ServerDownError if is_down else ServerError
        raise kind(
            f"the server gave no answer in {number} attempts",
            got=self._without_key(failure.reason),
            remedy="Look into its log; the same command goes on where it stopped.",
        )

    def _without_key(self, text: str) -> str:
        return text.replace(self.settings.key, "(removed)") if self.settings.key else text
