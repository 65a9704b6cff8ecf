"""The folder of a run: made once, opened again only with the recipe it began with, by one process at a time."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from understudy.errors import RunDirectoryError, UnderstudyError
from understudy.training.durable import refused_by_disk, write_json, write_text

LAUNCH = "launch"
"""Folder in a run's folder with what ``understudy launch`` writes; it may be there before the run."""

_OF_AN_END = ("summary.json", "report.html")

Adopts = Callable[[str, str], Sequence[str] | None]
"""(recipe that the run began with, recipe now) -> sentences on what it means to go on with the other, None where it
cannot be gone on with; raises RunDirectoryError where there is more to say than in what they differ."""


@dataclass(frozen=True, eq=False)
class RunDirectory:
    """An open run; a context manager that lets the next process in when it ends.

    Args:
        path: the folder. resumed: whether it was there before. notes: what the user should be told.
        adopted: another recipe, as text, that it goes on with from here.
    """

    path: Path
    resumed: bool
    notes: tuple[str, ...] = ()
    adopted: str | None = None
    _lock: IO[str] | None = field(default=None, repr=False)

    @property
    def metrics(self) -> Path:
        """One JSON line a step."""
        return self.path / "metrics.jsonl"

    @property
    def rollouts(self) -> Path:
        """Folder of Parquet files."""
        return self.path / "rollouts"

    @property
    def checkpoints(self) -> Path:
        """Folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def evaluation(self) -> Path:
        """Folder of everything evaluations leave."""
        return self.path / "evaluation"

    @property
    def evaluation_figures(self) -> Path:
        """One JSON line an evaluation."""
        return self.evaluation / "figures.jsonl"

    def adopt(self) -> None:
        """Go on with another recipe, if there is one: what tells of the run's first end goes, then it is the run's own.

        Raises:
            DiskError: the disk refuses; the run can be gone on with by either recipe.
        """
        if self.adopted is None:
            return
        for name in _OF_AN_END:
            with refused_by_disk(self.path / name):
                (self.path / name).unlink(missing_ok=True)
        write_text(self.path / "recipe.yaml", self.adopted)

    def close(self) -> None:
        """Let the next process in."""
        if self._lock is not None:
            self._lock.close()

    def discard(self) -> None:
        """Take away what opening a new run made, and the folder if nothing else is in it."""
        self.close()
        for name in ("recipe.yaml", "environment.json", ".lock"):
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # other files are in it, and stay
            self.path.rmdir()

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_run(
    path: Path,
    *,
    recipe: str,
    environment: Mapping[str, object],
    resume: bool = False,
    differences: Callable[[str, str], Sequence[str]],
    adopts: Adopts = lambda old, new: None,  # noqa: ARG005
) -> RunDirectory:
    """Make a run's folder, or open it again to go on; without anything to go on from, ``resume`` begins anew.

    Args:
        recipe: resolved, as text. environment: see ``surroundings.describe``.
        differences: names the fields in which two recipe texts differ; none means that only the writing does.
        adopts: whether the run can go on with the other; it becomes the run's own by ``RunDirectory.adopt``.
    Raises:
        RunDirectoryError: it exists and ``resume`` is false; it is no run; its recipe is another; another process
            has it open.
    """
    _make(path)
    lock = _locked(path)
    adopted: str | None = None
    try:
        resumed = _is_run(path, resume=resume)
        if resumed:
            told = _compared(path, recipe, differences, adopts)
            adopted = None if told is None else recipe
            notes = (*(told or ()), *_note_surroundings(path, environment))
        else:
            write_text(path / "recipe.yaml", recipe)
            write_json(path / "environment.json", environment)
            notes = (f"There was nothing to resume in {path}: the run begins anew.",) if resume else ()
    except BaseException:
        lock.close()
        raise
    return RunDirectory(path, resumed, notes, adopted, lock)


def _make(path: Path) -> None:
    try:
        with refused_by_disk(path):
            path.mkdir(parents=True, exist_ok=True)
    except UnderstudyError as error:
        if not isinstance(error.__cause__, FileExistsError | FileNotFoundError | NotADirectoryError | PermissionError):
            raise
        raise RunDirectoryError(
            f"the run's folder {path} cannot be made",
            got=error.got,
            remedy="Choose another place with output=FOLDER.",
        ) from error


def _locked(path: Path) -> IO[str]:
    with refused_by_disk(path):
        lock = (path / ".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise RunDirectoryError(
            f"another process is at work in {path}", remedy="Wait for it, stop it, or choose another name=..."
        ) from error
    except OSError:
        pass  # a file system without locks
    return lock


def _is_run(path: Path, *, resume: bool) -> bool:
    """Whether there is a run to go on with.

    Hidden files (the lock, a file half-written) count as nothing, and so do the logs of the launch that began it.
    """
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".") and entry.name != LAUNCH]
    if not entries:
        return False
    if not resume:
        raise RunDirectoryError(
            f"the run directory {path} exists",
            remedy="Go on with it by --resume, choose another name=..., or delete it.",
        )
    if not (path / "recipe.yaml").exists():
        raise RunDirectoryError(f"{path} holds other files and no run", expected="recipe.yaml of a run")
    return True


def _compared(
    path: Path, recipe: str, differences: Callable[[str, str], Sequence[str]], adopts: Adopts
) -> Sequence[str] | None:
    """What is told of going on with another recipe; None where it is the same."""
    try:
        before = (path / "recipe.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunDirectoryError(
            f"{path / 'recipe.yaml'} cannot be read",
            got=getattr(error, "strerror", None) or "a file that is not UTF-8 text",
            remedy="Put back the recipe that the run began with, or start a new run under another name=...",
        ) from error
    changed = [] if before == recipe else list(differences(before, recipe))
    if not changed:
        return None
    told = adopts(before, recipe)
    if told is None:
        raise RunDirectoryError(
            f"the recipe differs from the one that {path} began with",
            got="; ".join(changed),
            remedy="Resume with the same recipe, or start a new run under another name=...",
        )
    return told


def _note_surroundings(path: Path, environment: Mapping[str, object]) -> tuple[str, ...]:
    """Keep the surroundings of every session; numbers repeat bit for bit only where they are the same."""
    file = path / "environment.json"
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        before = None
    earlier = before.pop("resumed", []) if isinstance(before, dict) else None
    if before is None or not isinstance(earlier, list):
        write_json(file, environment)
        return ()
    sessions = [*earlier, environment]
    write_json(file, {**before, "resumed": sessions})
    changed = sorted(name for name in ("versions", "commit", "hardware") if before.get(name) != environment.get(name))
    if not changed:
        return ()
    return (f"The run began with other {' and '.join(changed)}: numbers may differ in the last digits from here on.",)
