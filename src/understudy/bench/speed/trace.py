"""One step under torch's profiler, as a file for Perfetto or Chrome. TRL's Python runs this file too."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from torch.profiler import ProfilerActivity, profile


class OneStepTrace:
    """Records the ``step``-th step (from 1) and writes it to a file when the block ends.

    Phases that are named ranges of the profiler show in it as such.
    """

    def __init__(self, file: Path, *, step: int) -> None:
        self._file, self._step = file, step
        self._profile = profile(activities=[ProfilerActivity.CPU], acc_events=True)
        self._is_on = False

    def __enter__(self) -> OneStepTrace:
        if self._step == 1:
            self._begin()
        return self

    def after(self, step: int) -> None:
        """The ``step``-th step has ended."""
        if step == self._step - 1:
            self._begin()
        elif step == self._step:
            self._end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._is_on:
            self._end()

    def _begin(self) -> None:
        self._profile.start()
        self._is_on = True

    def _end(self) -> None:
        self._profile.stop()
        self._is_on = False
        self._profile.export_chrome_trace(str(self._file))
