"""Trackio: kept in its own folder on this machine, or sent where its environment variables say."""

from __future__ import annotations

import os
from collections.abc import Mapping

from understudy.reports.trackers.tracked_run import PROJECT, TrackedRun


class Trackio:
    """A trackio run, known by the run's name and id: names alone need not differ."""

    def __init__(self, run: TrackedRun) -> None:
        import trackio  # an extra

        self._trackio = trackio
        project = os.environ.get("TRACKIO_PROJECT") or PROJECT
        self._run = trackio.init(
            project=project,
            name=f"{run.name}-{run.id}",
            config=dict(run.config),
            resume="allow",
            embed=False,
        )
        self.where = f"trackio show --project {project}"

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Hand the figures over; a step that was lost and is done again is there twice."""
        self._run.log(dict(figures), step=step)

    def close(self) -> None:
        """Send what is left."""
        self._trackio.finish()  # not the run's own: the module would finish it again at the end, and say so
