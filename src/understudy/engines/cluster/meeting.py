"""Ranks that wait for each other on a thread beside the one that trains."""

from __future__ import annotations

import threading
from typing import Protocol

_LOOK_SECONDS = 0.01


class Counters(Protocol):
    """The part of a ``torch.distributed`` store that is needed here; safe to use from several threads."""

    def add(self, key: str, amount: int) -> int:
        """The sum after it, over all ranks."""
        ...


class MeetingClosedError(Exception):
    """Nobody is waited for any more."""


class Meeting:
    """Call it on every rank equally often: each call returns once all of them have made it.

    It counts in a store and makes no collective call, whose order among ranks would be mixed up with that of the
    training's; and it can be given up while others do not come.

    Args:
        store: of all ranks. name: no other meeting's. size: how many meet.
    """

    def __init__(self, store: Counters, name: str, size: int) -> None:
        self._store, self._name, self._size = store, name, size
        self._calls = 0
        self._closed = threading.Event()

    def __call__(self) -> None:
        """Wait for the others; raises MeetingClosedError once ``close`` was called."""
        key = f"{self._name}/{self._calls}"
        self._calls += 1
        count = self._store.add(key, 1)
        while count < self._size:
            if self._closed.wait(_LOOK_SECONDS):
                raise MeetingClosedError
            count = self._store.add(key, 0)

    def close(self) -> None:
        """Wait no more, on this rank."""
        self._closed.set()
