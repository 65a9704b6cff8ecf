"""What the user sees of a benchmark: each measurement as it ends, and how long the rest may take."""

from __future__ import annotations

from understudy.training.progress import Display, Silent


class Following:
    """Counts measurements on a display.

    Args:
        display: where. total: of measurements, about.
    """

    def __init__(self, display: Display | None = None, *, total: int = 0) -> None:
        self._display, self._total, self._done, self._what = display or Silent(), total, 0, ""
        self._display.begin(done=0, total=total)

    def begin(self, what: str) -> None:
        """A measurement begins."""
        self._what = what
        self._display.phase(what)

    def end(self, outcome: str) -> None:
        """It has ended."""
        self._display.notice(f"{self._what}: {outcome}")
        self.skip()

    def skip(self) -> None:
        """One fewer to do."""
        self._done += 1
        if self._done <= self._total:
            self._display.step(self._done, {})

    def close(self) -> None:
        """Nothing more will come."""
        self._display.end()
