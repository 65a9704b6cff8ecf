"""How far a comparison has come, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable

from understudy.training.progress import clock_of


class Ticker:
    """A line for each piece of work that is done, with the time left as the pieces so far tell it.

    Args:
        what: the pieces' name. kept: done in an earlier session. total: of them all. notice: takes a line.
        now: gives seconds.
    """

    def __init__(
        self,
        what: str,
        *,
        kept: int,
        total: int,
        notice: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._kept, self._total, self._notice, self._now = what, kept, total, notice, now
        self._done, self._started = kept, now()
        if kept:
            notice(f"{what}: {kept} of {total} are kept from an earlier session")

    def done(self, line: str) -> None:
        """One more is done."""
        self._done += 1
        each = (self._now() - self._started) / (self._done - self._kept)
        left = clock_of(each * (self._total - self._done))
        self._notice(f"{self._what} {self._done}/{self._total}  {line}  {left} left")
