"""The folder in which an agent works: what it may name there, what it has made, and what of that can be handed in."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from understudy.environments.tools.tool import ToolError
from understudy.tasks.office import HandIn, Reference

INSIDE = PurePosixPath("/workspace")
"""Where an agent's programs see the folder."""

_PASSING = ("__pycache__",)
_MOST_FILES = 20_000


class Workspace:
    """A folder with the files of a task.

    Args:
        folder: empty, and the agent's alone.
    Attributes:
        num_refused: paths that led outside, or to something that is no file of its own.
    """

    def __init__(self, folder: Path, references: Sequence[Reference]) -> None:
        self.folder, self.num_refused = folder, 0
        self._given: dict[PurePosixPath, str] = {}
        for reference in references:
            target = folder / reference.place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(reference.source, target)
            self._given[reference.place] = _digest(target)

    def found(self, named: object) -> PurePosixPath:
        """The place of a file or folder that the agent names; under ``/workspace`` is within.

        Raises:
            ToolError: it does not exist, or lies outside, or is or goes through a symbolic link (counted).
        """
        place = self._within(str(named))
        here = self.folder
        try:
            for part in place.parts:
                here = here / part
                if here.is_symlink():
                    raise self._refused(named, "it is, or leads through, a symbolic link")
            mode = here.lstat().st_mode
        except (OSError, ValueError):  # a name longer than any may be is no name of a file either
            told = str(named)[:200]
            raise ToolError(f"{told} does not exist", remedy="Paths are relative to the working folder.") from None
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise self._refused(named, "it is neither a file nor a folder")
        return place

    def files(self) -> Iterator[PurePosixPath]:
        """All ordinary files, in order; hidden ones and caches aside, links not followed."""
        count = 0
        for root, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not _is_passing(name))
            for name in sorted(name for name in names if not _is_passing(name)):
                path = Path(root) / name
                if stat.S_ISREG(path.lstat().st_mode) and count < _MOST_FILES:
                    count += 1
                    yield PurePosixPath(path.relative_to(self.folder).as_posix())

    def is_made(self, place: PurePosixPath) -> bool:
        """Whether a file is new, or another than what came with the task."""
        given = self._given.get(place)
        return given is None or given != _digest(self.folder / place)

    def handed_in(self, named: Sequence[object], how: HandIn) -> tuple[tuple[PurePosixPath, ...], Mapping[str, str]]:
        """The files that count, and why others that were named do not."""
        wanted, not_taken = self._wanted(named)
        if how == "changed":
            wanted = dict.fromkeys(self.files())
        taken = []
        for place in wanted:
            why = self._fault(place)
            if why is None:
                taken.append(place)
            elif how == "named":
                not_taken[place.as_posix()] = why
        return tuple(taken), not_taken

    def _wanted(self, named: Sequence[object]) -> tuple[dict[PurePosixPath, None], dict[str, str]]:
        wanted: dict[PurePosixPath, None] = {}
        not_taken: dict[str, str] = {}
        for one in named:
            try:
                place = self.found(one)
            except ToolError as error:
                not_taken[str(one)] = str(error)
                continue
            if (self.folder / place).is_dir():
                wanted |= dict.fromkeys(file for file in self.files() if file.is_relative_to(place))
            else:
                wanted[place] = None
        return wanted, not_taken

    def _fault(self, place: PurePosixPath) -> str | None:
        if not self.is_made(place):
            return "it came with the task and has not been changed"
        return "it is empty" if (self.folder / place).stat().st_size == 0 else None

    def _within(self, named: str) -> PurePosixPath:
        place = PurePosixPath(named.strip())
        if place.is_absolute() and place.is_relative_to(INSIDE):
            place = place.relative_to(INSIDE)
        if place.is_absolute() or ".." in place.parts or "\x00" in named or not named.strip():
            raise self._refused(named, "it lies outside the working folder")
        return place

    def _refused(self, named: object, why: str) -> ToolError:
        self.num_refused += 1
        return ToolError(f"{str(named)[:200]} cannot be used: {why}")


def _is_passing(name: str) -> bool:
    return name.startswith(".") or name in _PASSING


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "unreadable"
