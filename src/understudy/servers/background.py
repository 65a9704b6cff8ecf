"""One thread in which every conversation with a server goes on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """A daemon thread that runs an event loop, so that a call can be cut off at any point of its answer."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="understudy-servers", daemon=True).start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin the work; it goes on while the caller does something else."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the work; it is given up where the caller is interrupted."""
        return waited(self.submit(work))


def waited(future: Future[T]) -> T:
    """The result of work in the background; the work is given up where the caller is interrupted."""
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


def background() -> Background:
    """The thread of this process, begun on first use."""
    return _of_process(os.getpid())


@cache
def _of_process(_: int) -> Background:
    return Background()


async def all_of(works: list[Coroutine[Any, Any, T]]) -> list[T]:
    """The results in order; where one fails the others are given up and its error is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
