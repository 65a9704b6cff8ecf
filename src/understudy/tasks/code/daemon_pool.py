"""Threads for work that the end of the program does not wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonPool:
    """Does work on at most ``size`` threads, in the order of its coming.

    The pools of ``concurrent.futures`` finish whatever waits before the program may end, so that Ctrl-C with a thousand
    verdicts in the queue takes their time.

    Args:
        size: threads; each is started when there is work that no other is free for.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads, self._busy = 0, 0

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Have it done; the future gives its result, or raises as it did."""
        future: Future[T] = Future()
        with self._lock:
            self._busy += 1
            if self._busy > self._threads < self._size:
                self._threads += 1
                threading.Thread(target=self._serve, name="understudy-code", daemon=True).start()
        self._work.put((future, function))
        return future

    def _serve(self) -> None:
        while True:
            future, function = self._work.get()
            if future.set_running_or_notify_cancel():
                try:
                    result = function()
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
            with self._lock:
                self._busy -= 1
            del future, function
