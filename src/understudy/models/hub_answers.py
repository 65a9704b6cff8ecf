"""Answers of a model hub end: its library bounds the wait for each piece of one, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from importlib import import_module
from typing import Any, TypeVar

from huggingface_hub import get_session

from understudy.errors import UnderstudyError

T = TypeVar("T")

MOST_BYTES = 64 << 20
_SECONDS = 300.0


def bound_answers() -> None:
    """Let every later answer to a question of this process, files aside, take no longer than one piece of it may.

    A hub that drips or floods is then given up as one that is silent. Files are asked for under other addresses than
    ``/api/``, and have a length of their own.
    """
    session: Any = get_session()
    hooks = session.event_hooks
    if _bound not in hooks["response"]:
        session.event_hooks = {**hooks, "response": [*hooks["response"], _bound]}


def answered(ask: Callable[[], T], *, seconds: float) -> T:
    """What the hub answers, headers and all, within so many seconds: no hook is called before headers have ended.

    Raises:
        UnderstudyError: it does not; the question is left to itself. Exception: whatever the hub's library raises.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(ask())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="understudy-hub", daemon=True).start()
    try:
        return future.result(timeout=seconds)
    except TimeoutError as error:
        if future.done():
            raise
        raise UnderstudyError(f"the hub's answer does not end in {seconds:g} s") from error


def _bound(response: Any) -> None:
    request = response.request
    if request.method == "GET" and not request.url.path.startswith("/api/"):
        return
    seconds = request.extensions.get("timeout", {}).get("read") or _SECONDS
    library = import_module(type(response).__module__.partition(".")[0])  # httpx, or the hub's own copy of it
    response.stream = _bounded(library, response.stream, seconds)


def _bounded(library: Any, stream: Any, seconds: float) -> Any:
    class Bounded(library.SyncByteStream):  # type: ignore[misc]
        """The stream, until its time is over or its length beyond any answer's."""

        def __iter__(self) -> Iterator[bytes]:
            until, size = time.monotonic() + seconds, 0
            for piece in stream:
                size += len(piece)
                if size > MOST_BYTES or time.monotonic() > until:
                    raise library.ReadTimeout(f"the answer does not end: {size:,} bytes in {seconds:g} s or less")
                yield piece

        def close(self) -> None:
            stream.close()

    return Bounded()
