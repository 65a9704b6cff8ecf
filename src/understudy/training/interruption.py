"""Ctrl-C and SIGTERM: the first asks for a clean end, the second for an immediate one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class AbandonedError(KeyboardInterrupt):
    """Work that changes no weights was given up after a signal; not an ``Exception``, so nobody swallows it."""


class Stop:
    """Whether a signal has asked for the end.

    Attributes:
        signal: the first one that came; None before.
    """

    def __init__(self, on_request: Callable[[str], None] | None = None) -> None:
        self.signal: signal.Signals | None = None
        self._on_request = on_request

    def request(self, number: int, _frame: FrameType | None = None) -> None:
        """Take a signal; raises KeyboardInterrupt from the second on."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)
        if self._on_request is not None:
            self._on_request(self.signal.name)

    def check(self) -> None:
        """Raise AbandonedError when the end was asked for."""
        if self.signal is not None:
            raise AbandonedError


@contextmanager
def listening(stop: Stop) -> Iterator[Stop]:
    """Send signals to ``stop`` within the block; outside the main thread, where that is impossible, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.request) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
