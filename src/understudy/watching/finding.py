"""The runs below given folders, by a short name that is no path: what a client sends never becomes a place on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_RUNS = 2000
"""More are not listed; a folder of so many is opened by parts."""
_DEEPEST = 5
_LOOKED_INTO = 20_000
"""Folders, so that a watcher pointed at a whole disk still answers."""
_OF_A_RUN = ("recipe.yaml", "metrics.jsonl")
_PAGES = ("report.html", "study.html")


@dataclass(frozen=True)
class FoundRun:
    """A run: the name it goes by in addresses, its folder, the folder it was found below, and where it stands there."""

    key: str
    path: Path
    root: Path
    place: str


@dataclass(frozen=True)
class FoundPage:
    """A page that another command of ours wrote: ``bench methods``, ``compare``, ``office-study``."""

    key: str
    path: Path
    place: str


def key_of(path: Path) -> str:
    """The name in addresses of a folder or a file.

    >>> len(key_of(Path("/tmp")))
    12
    """
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]


def runs_below(folders: tuple[Path, ...]) -> dict[str, FoundRun]:
    """Every run in these folders by its key; one that is reached twice, once. Links to elsewhere are not followed."""
    found: dict[str, FoundRun] = {}
    for root, path in _folders(folders):
        if len(found) >= MOST_RUNS:
            break
        if any((path / name).is_file() for name in _OF_A_RUN) and is_inside(path, root):
            key = key_of(path)
            found.setdefault(key, FoundRun(key, path, root, _place(path, root)))
    return found


def pages_below(folders: tuple[Path, ...]) -> dict[str, FoundPage]:
    """Pages beside the runs, those of runs themselves left out: they are made anew on every visit."""
    found: dict[str, FoundPage] = {}
    for root, path in _folders(folders):
        if any((path / name).is_file() for name in _OF_A_RUN) or len(found) >= MOST_RUNS:
            continue
        for file in sorted([*(path / name for name in _PAGES), *path.glob("against-*.html")]):
            if file.is_file() and is_inside(file, root):
                key = key_of(file)
                found.setdefault(key, FoundPage(key, file, _place(file, root)))
    return found


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path leads, all links followed, to somewhere below ``root``."""
    return path.resolve().is_relative_to(root.resolve())


def strays_of(run: FoundRun) -> list[str]:
    """Files of a run that are links to outside the watched folder: such a run is not shown."""
    seen = [run.path, *run.path.glob("*"), *run.path.glob("rollouts/*"), *run.path.glob("evaluation/*")]
    seen += run.path.glob("checkpoints/*/*")
    seen += run.path.glob("checkpoints/*/*/tokenizer.json")
    return [str(path.relative_to(run.path)) for path in seen if not is_inside(path, run.root)]


def _folders(folders: tuple[Path, ...]) -> Iterator[tuple[Path, Path]]:
    """Folders below each given one with that one, breadth first; not what is inside a run, hidden or deep down."""
    looked = 0
    for root in folders:
        level = [root]
        for _ in range(_DEEPEST):
            below: list[Path] = []
            for path in level:
                looked += 1
                if looked > _LOOKED_INTO:
                    return
                yield root, path
                if not any((path / name).is_file() for name in _OF_A_RUN):
                    below += _children(path)
            level = below


def _children(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            names = sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False))
    except OSError:
        return []
    return [path / name for name in names]


def _place(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path != root else root.resolve().name
