"""One address of a model: what runs there, and whether it may be asked now."""

from __future__ import annotations

import logging
import math
import random
import time
from typing import TypeVar

import httpx

from understudy.errors import ServerError, UserMistakeError
from understudy.servers.http import Call, UnavailableError, ask, client_for
from understudy.servers.settings import ServerSettings

T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0
_IDLE_SECONDS = 1.0
"""No server is stopped and started again in less."""

_REMOVED = "(removed)"
_log = logging.getLogger(__name__)


class Replica:
    """One address.

    Args:
        url: of the server. settings: the pool's.
    Attributes:
        in_flight: requests under way. is_up: it may be asked. failures: in a row. is_lost: since it was last well, a
            connection was lost, so that another model may be there now.
        answered_at: when it last answered, on the monotonic clock. wrong: why it must never be asked again; None while
            nothing speaks against it.
    """

    def __init__(self, url: str, settings: ServerSettings) -> None:
        self.url, self._settings = url, settings
        self.in_flight, self.failures, self.is_up, self.is_lost = 0, 0, True, False
        self.answered_at = math.inf
        self.wrong: Exception | None = None
        self._client: httpx.AsyncClient | None = None

    async def ask(self, call: Call[T], *, timeout_seconds: float | None = None) -> T:
        """One attempt; errors name the address, and never the key."""
        if self._client is None:
            self._client = client_for(self.url, key=self._settings.key, concurrency=self._settings.max_concurrency)
        self.in_flight += 1
        try:
            return await ask(
                self._client,
                call,
                timeout_seconds=call.seconds or timeout_seconds or self._settings.timeout_seconds,
                max_bytes=self._settings.max_reply_bytes,
            )
        except UnavailableError as failure:
            failure.reason = self._without_key(failure.reason)
            raise
        except (ServerError, UserMistakeError) as error:
            error.what = f"{self.url}: {error.what}"
            error.got = None if error.got is None else self._without_key(str(error.got))
            raise
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.aclose()

    def leave(self, failure: UnavailableError) -> float:
        """Leave it alone; gives the seconds to wait before looking after it, more with each failure in a row."""
        if self.failures == 0:
            _log.warning("Server %s does not answer (%s); asking again.", self.url, failure.reason)
        self.failures, self.is_up, self.is_lost = self.failures + 1, False, self.is_lost or failure.is_lost
        wait = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** min(self.failures - 1, 10))
        # Spread, so that clients of one server do not come back all at once.
        return max(failure.wait_seconds, wait * random.uniform(0.5, 1.0))

    @property
    def is_idle(self) -> bool:
        """Whether it has been asked nothing for so long that another process may have taken its place unseen."""
        return self.in_flight == 0 and time.monotonic() - self.answered_at > _IDLE_SECONDS

    def answered(self) -> None:
        """Forget that it had failed; an answer to a request from before it failed says nothing."""
        self.answered_at = time.monotonic()
        if self.failures and self.is_up:
            _log.warning("Server %s answers again.", self.url)
            self.failures = 0

    def refuse(self, error: Exception) -> None:
        """Never ask it again."""
        _log.warning("Server %s is left out: %s", self.url, error)
        self.wrong, self.is_up = error, False

    def _without_key(self, text: str) -> str:
        return text.replace(self._settings.key, _REMOVED) if self._settings.key else text
