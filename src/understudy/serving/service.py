"""What every route works with: the model, the line before it, the words, and how an answer is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request

from understudy.recipe import Engine
from understudy.serving.jobs import Job, Sampled, SampleJob, Scored, ScoreJob
from understudy.serving.line import Line
from understudy.serving.metrics import Metrics
from understudy.serving.refusal import Refusal, bad_request
from understudy.serving.resident import Resident
from understudy.serving.settings import Settings
from understudy.serving.wire import Wire, check_obeyed
from understudy.serving.words import Words
from understudy.serving.worker import Worker

Body = TypeVar("Body", bound=Wire)

_BODY_SECONDS = 60.0


@dataclass(frozen=True, eq=False)
class Service:
    """The parts of one server."""

    settings: Settings
    resident: Resident
    line: Line
    words: Words
    metrics: Metrics
    worker: Worker

    async def scored(self, request: Request, jobs: Sequence[ScoreJob]) -> list[Scored]:
        """The answers to score jobs, in order."""
        return await self._answers(request, jobs)

    async def sampled(self, request: Request, jobs: Sequence[SampleJob]) -> list[Sampled]:
        """The answers to sample jobs, in order."""
        return await self._answers(request, jobs)

    async def _answers(self, request: Request, jobs: Sequence[Job]) -> list[Any]:
        """Let the jobs wait and await them all; a client that leaves takes its jobs along.

        Raises:
            Refusal: 503 no room in the line; 499 the client has left.
        """
        gone = asyncio.ensure_future(_left(request))
        try:
            for job in jobs:
                self.line.add(job)
            done = asyncio.gather(*(asyncio.wrap_future(job.future) for job in jobs))
            waits: list[asyncio.Future[Any]] = [done, gone]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                done.cancel()
                raise Refusal(499, "the client has left")
            return list(done.result())
        except BaseException:
            for job in jobs:
                job.gone = True
                job.future.cancel()
            raise
        finally:
            gone.cancel()

    async def between_batches(self, run: Callable[[], Any]) -> Any:
        """Have something done by the thread that owns the model, and await it."""
        return await asyncio.wrap_future(self.line.do(run))


def start_service(resident: Resident, settings: Settings, engine: Engine) -> Service:
    """A service whose worker runs until its line is closed."""
    rows = min(settings.batch_rows, engine.sampler_batch_rows)
    line = Line(max_waiting=settings.max_waiting, batch_tokens=settings.batch_tokens, batch_rows=rows)
    metrics = Metrics(line.waiting, lambda: line.num_running)
    worker = Worker(resident, line, metrics)
    worker.start()
    return Service(settings, resident, line, Words(resident.loaded.tokenizer), metrics, worker)


async def read_body(request: Request, kind: type[Body], *, most_bytes: int) -> Body:
    """The body as a record of this kind, checked for fields that this server does not obey.

    Raises:
        Refusal: 413 it is longer than ``most_bytes``; 408 it does not end; 415 it is not called JSON; 400 a field is
            not obeyed.
        ValidationError: it is no JSON, or not of this kind.
    """
    if not request.headers.get("content-type", "").partition(";")[0].strip().lower().endswith("json"):
        raise Refusal(415, "the body must be JSON: send Content-Type: application/json")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body = await _whole_body(request, most_bytes)
    except TimeoutError as error:
        raise Refusal(408, f"the body was not here within {_BODY_SECONDS:g} s") from error
    record = kind.model_validate_json(body)
    check_obeyed(record)
    if getattr(record, "stream", None):
        raise bad_request("stream is not supported by this server", param="stream")
    return record


async def _whole_body(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise Refusal(499, "the client has left")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most_bytes:
            raise Refusal(413, f"the body is longer than {most_bytes} bytes")
    return bytes(body)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
