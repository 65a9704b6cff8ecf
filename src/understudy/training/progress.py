"""What the user sees of a run: a bar with live figures on a terminal, plain lines elsewhere; never a reason to stop."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from understudy.training.plain_text import printable

SHOWN = {"loss": "loss", "kl": "kl/reverse_k1", "reward": "reward", "length": "completions/mean_length"}
"""Figures that are always in sight, by the short name they are shown under."""

_DAY = 24 * 3600.0
"""Steps so far back count in the estimate of the time left."""


class Display(Protocol):
    """Follows a run. ``phase`` and ``advance`` may be called thousands of times a step."""

    def begin(self, *, done: int, total: int) -> None:
        """The run goes on after ``done`` of ``total`` steps."""
        ...

    def phase(self, name: str, *, size: int = 0) -> None:
        """A phase of the current step begins; ``size`` items are expected, 0 if nobody knows."""
        ...

    def advance(self, count: int) -> None:
        """So many more items of the phase are done."""
        ...

    def step(self, done: int, figures: Mapping[str, float]) -> None:
        """``done`` steps are done; the figures are the last one's."""
        ...

    def notice(self, text: str) -> None:
        """Something the user should read; what has no glyph in it is shown as its escape."""
        ...

    def end(self) -> None:
        """Nothing more will come."""
        ...


def display_on(stream: TextIO) -> Display:
    """A bar where ``stream`` is a terminal that can move its cursor, else plain lines."""
    try:
        is_terminal = stream.isatty()
    except ValueError:  # closed
        return Silent()
    # On a dumb terminal rich shows a bar only once, when all is over.
    return Bar(stream) if is_terminal and not Console(file=stream).is_dumb_terminal else Lines(stream)


@contextmanager
def shown(display: Display) -> Iterator[Display]:
    """Ends the display with the block, whatever ends that: a bar that is left open keeps the terminal's cursor."""
    try:
        yield display
    finally:
        display.end()


class Silent:
    """Shows nothing."""

    def begin(self, *, done: int, total: int) -> None:
        """Nothing."""

    def phase(self, name: str, *, size: int = 0) -> None:
        """Nothing."""

    def advance(self, count: int) -> None:
        """Nothing."""

    def step(self, done: int, figures: Mapping[str, float]) -> None:
        """Nothing."""

    def notice(self, text: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class Lines:
    """One line every few steps, and a sign of life in long phases.

    Args:
        stream: where to write; when it closes, the rest is dropped. num_lines: about so many lines for a whole run.
        quiet_seconds: longest silence while items are being done.
    """

    def __init__(self, stream: TextIO, *, num_lines: int = 25, quiet_seconds: float = 10.0) -> None:
        self._stream: TextIO | _Nowhere = stream
        self._num_lines, self._quiet_seconds = num_lines, quiet_seconds
        self._first = self._total = self._done = self._items = self._size = 0
        self._phase = ""
        self._started = self._phase_started = self._last_line = time.monotonic()

    def begin(self, *, done: int, total: int) -> None:
        """Start the clock of the estimate."""
        self._first, self._done, self._total = done, done, total
        self._started = time.monotonic()

    def phase(self, name: str, *, size: int = 0) -> None:
        """Remember the phase for the next sign of life."""
        self._phase, self._size, self._items = name, size, 0
        self._phase_started = time.monotonic()

    def advance(self, count: int) -> None:
        """Write a line, with the time the phase may still take, if there was none for long."""
        self._items += count
        if time.monotonic() - self._last_line > self._quiet_seconds:
            of = f" of {self._size}" if self._size else ""
            step = f"step {self._done}/{self._total}  " if self._total else ""
            self._write(f"{step}{self._phase.replace('_', ' ')}: {self._items}{of} done{self._time_left()}")

    def step(self, done: int, figures: Mapping[str, float]) -> None:
        """Write a line for the first step, the last, and about ``num_lines`` in all."""
        self._done = done
        every = max(1, self._total // self._num_lines)
        if done % every == 0 or done in (self._first + 1, self._total):
            left = (time.monotonic() - self._started) / (done - self._first) * (self._total - done)
            self._write(f"step {done}/{self._total}  {figures_in_short(figures)}  {clock_of(left)} left")

    def notice(self, text: str) -> None:
        """Write it."""
        self._write(printable(text))

    def end(self) -> None:
        """Nothing is open."""

    def _time_left(self) -> str:
        if not 0 < self._items < self._size:
            return ""
        seconds = (time.monotonic() - self._phase_started) / self._items * (self._size - self._items)
        return f", about {clock_of(seconds)} left"

    def _write(self, text: str) -> None:
        self._last_line = time.monotonic()
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # a closed pipe or file
            self._stream = _Nowhere()


class Bar:
    """Rich's progress bar: steps with time left and key figures, and under it the phase with its own bar."""

    def __init__(self, stream: TextIO) -> None:
        self._console = _PatientConsole(file=stream)
        self._last = 0.0
        self._start_anew()

    def _start_anew(self) -> None:
        """Bars that know of nothing drawn before: one that is started again wipes what was written since it stopped."""
        columns = (
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _TimeLeft(),
        )
        console = self._console
        self._progress = _BarsAndFigures(*columns, console=console, auto_refresh=False, speed_estimate_period=_DAY)
        self._steps: TaskID | None = None
        self._phase: TaskID | None = None

    def begin(self, *, done: int, total: int) -> None:
        """Show the upper bar."""
        with self._patience():
            if self._phase is not None:
                self._progress.remove_task(self._phase)
                self._phase = None
            self._steps = self._progress.add_task("steps", total=total, completed=done)
            self._progress.start()

    def phase(self, name: str, *, size: int = 0) -> None:
        """Start the lower bar anew; also before the run begins, while models are made or examined."""
        with self._patience():
            if self._phase is not None:
                self._progress.remove_task(self._phase)
            self._phase = self._progress.add_task(name.replace("_", " "), total=size or None)
            self._progress.start()
            self._progress.refresh()

    def advance(self, count: int) -> None:
        """Move the lower bar."""
        with self._patience():
            if self._phase is not None:
                self._progress.advance(self._phase, count)
            if time.monotonic() - self._last > 0.1:
                self._last = time.monotonic()
                self._progress.refresh()

    def step(self, done: int, figures: Mapping[str, float]) -> None:
        """Move the upper bar and show the figures."""
        with self._patience():
            self._progress.figures = figures_in_short(figures)
            if self._steps is not None:
                self._progress.update(self._steps, completed=done)
            self._progress.refresh()

    def notice(self, text: str) -> None:
        """Print above the bars."""
        with self._patience():
            self._progress.console.print(printable(text), markup=False, highlight=False)

    def end(self) -> None:
        """Leave the upper bar as it is; what begins after it has bars of its own."""
        with self._patience():
            if self._phase is not None:
                self._progress.remove_task(self._phase)
            self._progress.stop()
            self._start_anew()

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Once the terminal is gone, show nothing more."""
        try:
            yield
        except (OSError, ValueError):
            self._progress.disable = self._progress.console.quiet = True


class _BarsAndFigures(Progress):
    """The bars, and a line of figures under them."""

    figures = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Bars first."""
        yield from super().get_renderables()
        yield Text(self.figures)


class _TimeLeft(TimeRemainingColumn):
    """Rich's estimate with its word, so that it is not taken for the time that has passed, which stands before it."""

    def render(self, task: Task) -> Text:
        """``0:01:00 left``."""
        return super().render(task).append(" left")


class _PatientConsole(Console):
    """A console whose reader may leave."""

    def on_broken_pipe(self) -> None:
        """Fall silent, where rich would end the program."""
        self.quiet = True


class _Nowhere:
    """A stream that swallows."""

    def write(self, text: str) -> int:
        """Nothing."""
        return len(text)

    def flush(self) -> None:
        """Nothing."""


def figures_in_short(figures: Mapping[str, float]) -> str:
    """The figures that are always in sight.

    >>> figures_in_short({"loss": 0.25, "kl/reverse_k1": 1.5, "grad_norm": 3.0})
    'loss 0.25  kl 1.5'
    """
    return "  ".join(f"{short} {figures[name]:.3g}" for short, name in SHOWN.items() if name in figures)


def clock_of(seconds: float) -> str:
    """A duration as h:mm:ss.

    >>> clock_of(3725.4)
    '1:02:05'
    """
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
