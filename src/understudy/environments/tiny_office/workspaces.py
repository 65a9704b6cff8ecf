"""Where the tiny office keeps its files: in memory, for the speed of training, or as real files on disk."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from understudy.environments.tiny_office.documents import Document
from understudy.environments.tiny_office.files import SUFFIXES, read_file, write_file
from understudy.written_whole import AGAIN, refused_by_disk


class Workspace(Protocol):
    """Files by name, without the suffix; the tools are the same over either kind."""

    def names(self) -> tuple[str, ...]:
        """What is there, in alphabetical order."""
        ...

    def read(self, name: str) -> Document:
        """The file of that name, which is there."""
        ...

    def write(self, name: str, document: Document) -> None:
        """Write the file, over one of that name."""
        ...

    def remove(self, name: str) -> None:
        """Take the file away."""
        ...

    def hand_in(self, name: str) -> None:
        """Hand in a copy of the file as it is now."""
        ...


class InMemory:
    """A workspace without a disk."""

    def __init__(self) -> None:
        self._files: dict[str, Document] = {}
        self.handed_in: dict[str, Document] = {}

    def names(self) -> tuple[str, ...]:
        """What is there."""
        return tuple(sorted(self._files))

    def read(self, name: str) -> Document:
        """The file as it was written."""
        return self._files[name]

    def write(self, name: str, document: Document) -> None:
        """Keep it."""
        self._files[name] = document

    def remove(self, name: str) -> None:
        """Forget it."""
        del self._files[name]

    def hand_in(self, name: str) -> None:
        """Keep a copy apart."""
        self.handed_in[name] = self._files[name]


class OnDisk:
    """A folder of .xlsx and .txt files, read anew each time; what is handed in is copied to another folder.

    Args:
        folder: of the work. deliverables: where copies go. Both are made where they are missing.
    Raises:
        DiskError: a file or folder cannot be written; so do all that write.
    """

    def __init__(self, folder: Path, deliverables: Path) -> None:
        self._folder, self._deliverables = folder, deliverables
        for one in (folder, deliverables):
            with refused_by_disk(one, remedy=AGAIN):
                one.mkdir(parents=True, exist_ok=True)

    def empty(self) -> None:
        """Take away everything that is in both folders."""
        for one in (self._folder, self._deliverables):
            with refused_by_disk(one, remedy=AGAIN):
                shutil.rmtree(one)
                one.mkdir()

    def names(self) -> tuple[str, ...]:
        """What is there."""
        return tuple(sorted(path.stem for path in self._folder.iterdir()))

    def read(self, name: str) -> Document:
        """Read the file."""
        return read_file(self._path(name))

    def write(self, name: str, document: Document) -> None:
        """Write the file; one of the same name and another kind goes."""
        path = self._folder / f"{name}{SUFFIXES[document.kind]}"
        if name in self.names() and self._path(name) != path:
            self.remove(name)
        with refused_by_disk(path, remedy=AGAIN):
            write_file(path, document)

    def remove(self, name: str) -> None:
        """Delete the file."""
        with refused_by_disk(self._folder, remedy=AGAIN):
            self._path(name).unlink()

    def hand_in(self, name: str) -> None:
        """Copy the file."""
        with refused_by_disk(self._deliverables, remedy=AGAIN):
            shutil.copy(self._path(name), self._deliverables)

    def _path(self, name: str) -> Path:
        return next(path for path in self._folder.iterdir() if path.stem == name)
