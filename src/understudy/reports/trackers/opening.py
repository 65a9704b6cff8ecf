"""Opens the trackers that a recipe names, and keeps their troubles away from the run."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path

from understudy.errors import RecipeError
from understudy.recipe.trackers import TrackerName
from understudy.reports.secrets import without_secrets
from understudy.reports.trackers.apart import Apart
from understudy.reports.trackers.tensorboard import TensorBoard
from understudy.reports.trackers.tracked_run import TrackedRun, Tracker, identity
from understudy.reports.trackers.trackio import Trackio
from understudy.reports.trackers.weights_and_biases import WeightsAndBiases

Record = Callable[[int, Mapping[str, float]], None]

TRACKERS: Mapping[TrackerName, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "trackio": Trackio,
}
"""How each is opened; its package and our extra have the same name."""

MOST_SECONDS = 90.0
"""A tracker may take so long over one thing; theirs are waits of up to 30 s, one after the other."""


def check_installed(names: Sequence[TrackerName]) -> None:
    """Refuse a tracker whose package is not installed.

    Raises:
        RecipeError: with the command that installs it.
    """
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        raise RecipeError(
            f"report_to names {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            remedy=f"pip install 'understudy[{','.join(missing)}]', or leave it out of report_to.",
        )


@contextmanager
def tracking(
    names: Sequence[TrackerName],
    *,
    path: Path,
    name: str,
    config: Mapping[str, object],
    notice: Callable[[str], None],
) -> Iterator[list[Record]]:
    """What takes the figures of a run, one for each tracker; all are closed when the block ends.

    A tracker that fails or never comes back, whenever it does, is told once by ``notice`` and left alone from then on.

    Args:
        path: the run's folder, where its id is kept. name: of the run. config: the resolved recipe, plain values.
    """
    opened: list[_Guarded] = []
    try:
        if names:
            run = TrackedRun(path, name, identity(path), config)
            opened += [_Guarded(each, run, notice) for each in names]
        yield [tracker.record for tracker in opened]
    finally:
        for tracker in opened:
            tracker.close()


class _Guarded:
    """A tracker whose first failure is its last; what it would print is left out."""

    def __init__(self, name: TrackerName, run: TrackedRun, notice: Callable[[str], None]) -> None:
        self._name, self._notice = name, notice
        self._tracker: Tracker | None = None
        self._apart = Apart(name, seconds=MOST_SECONDS)
        with self._guard(), _quiet():
            self._tracker = self._apart.run(lambda: TRACKERS[name](run))
        if self._tracker is not None:
            notice(f"Figures also go to {name}: {self._tracker.where}")

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        finite = {name: value for name, value in figures.items() if math.isfinite(value)}
        tracker = self._tracker
        if tracker is not None and finite:
            with self._guard():
                self._apart.run(lambda: tracker.record(step, finite))

    def close(self) -> None:
        if self._tracker is not None:
            with self._guard(), _quiet():
                self._apart.run(self._tracker.close)
        self._tracker = None
        self._apart.end()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._tracker = None
            why = without_secrets(str(error) or type(error).__name__).rstrip(".")
            self._notice(f"{self._name} takes no more figures: {why}. The run goes on; its folder has them all.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Standard output is for what the command was asked for."""
    with redirect_stdout(io.StringIO()):
        yield


def _is_installed(name: str) -> bool:
    spec = find_spec(name)
    return spec is not None and spec.origin is not None  # a folder of that name in the working directory has none
