"""A thread of a tracker's own: what it is asked is waited for so long, and then the run goes on without it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

from understudy.errors import UnderstudyError

T = TypeVar("T")


class Apart:
    """Does one thing after the other in one daemon thread: trackers keep what is open by thread.

    Args:
        seconds: each is waited for so long.
    """

    def __init__(self, name: str, *, seconds: float) -> None:
        self._seconds = seconds
        self._asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=f"understudy-{name}", daemon=True).start()

    def run(self, ask: Callable[[], T]) -> T:
        """What it gives.

        Raises:
            UnderstudyError: nothing in time; what it does is left to itself. Exception: whatever it raises.
        """
        future: Future[T] = Future()
        self._asked.put(partial(_fulfil, future, ask))
        try:
            return future.result(timeout=self._seconds)
        except TimeoutError:
            if future.done():
                raise  # its own
            raise UnderstudyError(f"no answer in {self._seconds:g} s") from None

    def end(self) -> None:
        """Let the thread end once it has nothing more to do."""
        self._asked.put(None)

    def _work(self) -> None:
        while (ask := self._asked.get()) is not None:
            ask()


def _fulfil(future: Future[T], ask: Callable[[], T]) -> None:
    try:
        future.set_result(ask())
    except BaseException as error:
        future.set_exception(error)
