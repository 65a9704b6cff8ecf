"""TensorBoard: event files in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from understudy.reports.trackers.tracked_run import TrackedRun


class TensorBoard:
    """Event files under ``tensorboard/`` of the run's folder, one a session.

    What a session repeats of an earlier one takes its place: TensorBoard forgets every event of an earlier file from
    the first step of a later one on.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._folder = run.path / "tensorboard"
        self._recipe = yaml.safe_dump(dict(run.config), sort_keys=False, allow_unicode=True)
        self._writer: Any = None
        self.where = f"tensorboard --logdir {self._folder}"

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures, on the disk when the call returns: those of finished steps are never sent again."""
        writer = self._opened(step)
        for name, value in figures.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _opened(self, step: int) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # an extra

            self._writer = SummaryWriter(str(self._folder), purge_step=step)
            # Indented, so that the page shows it as it is written.
            self._writer.add_text("recipe", "".join(f"    {line}\n" for line in self._recipe.splitlines()), step)
        return self._writer
