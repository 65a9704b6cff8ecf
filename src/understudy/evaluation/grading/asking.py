"""One grader asked over HTTP: so many requests at a time, again after a lost connection, and given up in the end."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import httpx

from understudy.errors import ServerAnswerError, ServerError, ServerKeyError
from understudy.evaluation.grading.answers import Reply, reply_of
from understudy.evaluation.grading.settings import GraderSettings
from understudy.evaluation.grading.votes import Reason
from understudy.servers.http import Call, RefusedError, UnavailableError, ask, client_for

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 30.0
_MAX_BYTES = 8 << 20
_log = logging.getLogger(__name__)


class NoAnswerError(Exception):
    """A question stays without an answer; ``reason`` says why."""

    def __init__(self, reason: Reason, said: str) -> None:
        super().__init__(said)
        self.reason, self.said = reason, said


@dataclass
class Spent:
    """What a grader has cost so far."""

    requests: int = 0
    retries: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(eq=False)
class Grader:
    """A grader that can be asked; used by one event loop.

    Attributes:
        spent: so far, in this run. down: why it was given up; None while it answers.
    """

    settings: GraderSettings
    spent: Spent = field(default_factory=Spent)
    down: str | None = None

    def __post_init__(self) -> None:
        self._key = self.settings.key()
        self._slots = asyncio.Semaphore(self.settings.max_concurrency)
        url = self.settings.url.rstrip("/")
        self._client = client_for(url, key=self._key, concurrency=self.settings.max_concurrency)

    async def reply(self, messages: Sequence[Mapping[str, object]]) -> Reply:
        """The answer to a conversation.

        Asked again, with growing pauses, are only requests that the endpoint postponed (429, 503 and their like) or
        whose connection was lost; an answer that does not come in time is a time-out, asked once.

        Raises:
            NoAnswerError: there is none.
        """
        async with self._slots:
            until, wait = time.monotonic() + self.settings.deadline_seconds, _FIRST_WAIT_SECONDS
            while True:
                if self.down is not None:
                    raise NoAnswerError("down", self.down)
                try:
                    return await self._once(messages)
                except UnavailableError as failure:
                    await self._pause(failure, wait=wait, until=until)
                    wait = min(_LONGEST_WAIT_SECONDS, wait * 2)

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def _once(self, messages: Sequence[Mapping[str, object]]) -> Reply:
        self.spent.requests += 1
        call = Call("/chat/completions", reply_of, body=self._body(messages))
        try:
            reply = await ask(self._client, call, timeout_seconds=self.settings.timeout_seconds, max_bytes=_MAX_BYTES)
        except ServerKeyError as error:
            self._give_up(str(error))
            raise NoAnswerError("down", self._without_key(str(error))) from error
        except RefusedError as error:
            if error.status in (400, 413, 422):
                raise NoAnswerError("refused", self._without_key(str(error))) from error
            self._give_up(str(error))
            raise NoAnswerError("down", self._without_key(str(error))) from error
        except ServerAnswerError as error:
            raise NoAnswerError("unreadable", self._without_key(str(error))) from error
        except ServerError as error:
            raise NoAnswerError("server fault", self._without_key(str(error))) from error
        if reply.text is not None:  # an endpoint may quote what it was sent, and its words are kept and shown
            reply = replace(reply, text=self._without_key(reply.text))
        self.spent.input_tokens += reply.input_tokens
        self.spent.output_tokens += reply.output_tokens
        return reply

    def _body(self, messages: Sequence[Mapping[str, object]]) -> dict[str, object]:
        asked: dict[str, object] = {"model": self.settings.model, "messages": list(messages)}
        if self.settings.temperature is not None:
            asked["temperature"] = self.settings.temperature
        if self.settings.max_tokens is not None:
            asked["max_tokens"] = self.settings.max_tokens
        if self.settings.json_mode:
            asked["response_format"] = {"type": "json_object"}
        return asked

    async def _pause(self, failure: UnavailableError, *, wait: float, until: float) -> None:
        if _is_late(failure):
            raise NoAnswerError("time-out", failure.reason) from failure
        if failure.tries is not None:
            raise NoAnswerError("server fault", self._without_key(failure.reason)) from failure
        # Spread, so that requests that were turned away together do not come back together.
        pause = max(failure.wait_seconds, wait * random.uniform(0.5, 1.0))
        if time.monotonic() + pause > until:
            self._give_up(f"no answer for {self.settings.deadline_seconds:g} s: {failure.reason}")
            raise NoAnswerError("down", str(self.down)) from failure
        self.spent.retries += 1
        await asyncio.sleep(pause)

    def _give_up(self, why: str) -> None:
        if self.down is None:
            self.down = self._without_key(why)
            _log.warning("Grader %s is given up: %s", self.settings.name, self.down)

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "(removed)") if self._key else text


def _is_late(failure: UnavailableError) -> bool:
    """Whether the connection stood and the answer did not come."""
    cause = failure.__cause__
    waited = isinstance(cause, TimeoutError | httpx.ReadTimeout | httpx.WriteTimeout)
    return waited and not isinstance(cause, httpx.ConnectTimeout)
