"""Checkpoints: written beside and renamed, each file's SHA-256 in a manifest, the last good one found again."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import CheckpointError, RunDirectoryError
from understudy.training.durable import sync
from understudy.written_whole import said_by_disk

MANIFEST = "manifest.json"
FOR_PEOPLE = frozenset({"README.md", "curves.svg"})
"""Card and picture, which may be rewritten at any time: no manifest holds their digests."""
_WRITING, _SPOILT = ".writing", ".spoilt"


@dataclass(frozen=True)
class Found:
    """A checkpoint that was loaded.

    Args:
        step: number of steps done. folder: where it is. spoilt: a sentence on each newer one that could not be used.
    """

    step: int
    folder: Path
    spoilt: tuple[str, ...] = ()


def folder_of(checkpoints: Path, step: int) -> Path:
    """Where the checkpoint after ``step`` steps stands.

    >>> folder_of(Path("checkpoints"), 50).name
    'step-000050'
    """
    return checkpoints / f"step-{step:06d}"


def steps_of(checkpoints: Path) -> list[int]:
    """Steps of all checkpoints there, good or not, ascending."""
    names = [entry.name for entry in checkpoints.glob("step-*") if entry.is_dir()]
    return sorted(int(name[5:]) for name in names if name[5:].isdigit())


def chosen(checkpoints: Path, step: int | None) -> int:
    """The step of a run's newest checkpoint, or ``step`` where there is one of it.

    Raises:
        RunDirectoryError: there is none.
    """
    steps, run = steps_of(checkpoints), checkpoints.parent
    if not steps:
        raise RunDirectoryError(f"{run} has no checkpoint", remedy="A run has weights from its first one on.")
    if step not in (None, *steps):
        there = ", ".join(map(str, steps))
        raise RunDirectoryError(f"{run} has no checkpoint of step {step}", expected=f"one of those there: {there}")
    return steps[-1] if step is None else step


def write(checkpoints: Path, step: int, save: Callable[[Path], None]) -> Path:
    """Let ``save`` fill an empty folder, seal it with a manifest, and give it its name; nothing if it is there.

    Raises:
        CheckpointError: the disk refused; older checkpoints are as they were.
    """
    target = folder_of(checkpoints, step)
    if (target / MANIFEST).exists():
        return target
    beside = checkpoints / (target.name + _WRITING)
    try:
        _remove(beside)
        beside.mkdir(parents=True)
        save(beside)
        _seal(beside, step)
        beside.replace(target)
        sync(checkpoints)
    except Exception as error:
        if said_by_disk(error) is None:
            raise
        shutil.rmtree(beside, ignore_errors=True)
        raise CheckpointError(
            f"the checkpoint of step {step} cannot be written",
            got=error,
            remedy=f"{_kept(checkpoints)} Make room, then go on with --resume.",
        ) from error
    return target


def faults_of(folder: Path) -> str | None:
    """What is wrong with a checkpoint's files, in a few words; None when each is as it was written."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected = dict(manifest["files"])
    except OSError:
        return "it has no manifest"
    except (ValueError, KeyError, TypeError):
        return "its manifest is broken"
    for name, digest in sorted(expected.items()):
        if Path(name).name in FOR_PEOPLE:
            continue
        try:
            found = _digest(folder / name)
        except OSError:
            return f"{name} is missing"
        if found != digest:
            return f"{name} has changed since it was written"
    return None


def load_last(checkpoints: Path, load: Callable[[Path], None]) -> Found | None:
    """Load the newest checkpoint that is whole, and put newer ones aside; None when there is none at all.

    Raises:
        CheckpointError: there are checkpoints and none can be read.
    """
    spoilt: list[str] = []
    steps = steps_of(checkpoints)
    for step in reversed(steps):
        folder = folder_of(checkpoints, step)
        fault = faults_of(folder) or _load_fault(folder, load)
        if fault is None:
            for newer in [one for one in steps if one > step]:
                _put_aside(folder_of(checkpoints, newer))
            return Found(step, folder, tuple(spoilt))
        spoilt.append(f"The checkpoint of step {step} cannot be used: {fault}.")
    if spoilt:
        raise CheckpointError(
            f"no checkpoint in {checkpoints} can be read",
            got=" ".join(spoilt),
            remedy="Put the files back, or delete that folder to begin anew.",
        )
    return None


def prune(checkpoints: Path, *, keep_last: int, protect: Collection[int] = ()) -> None:
    """Delete all but the last ``keep_last`` checkpoints and those of ``protect``, and what crashes left half-done."""
    for step in steps_of(checkpoints)[:-keep_last]:
        if step not in protect:
            folder = folder_of(checkpoints, step)
            doomed = folder.with_name(folder.name + _WRITING)
            _remove(doomed)
            folder.replace(doomed)  # so that a crash on the way never leaves half a folder under a good name
    for half in checkpoints.glob(f"*{_WRITING}"):
        _remove(half)


def _seal(folder: Path, step: int) -> None:
    files = sorted(_files(folder))
    for file in files:
        sync(file)
    # A hidden file is what somebody has not written to its end: it may go, and the checkpoint stays what it is.
    kept = [file for file in files if file.name not in FOR_PEOPLE and not file.name.startswith(".")]
    digests = {str(file.relative_to(folder)): _digest(file) for file in kept}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"step": step, "files": digests}, indent=2) + "\n", encoding="utf-8")
    sync(manifest)
    for inner in {file.parent for file in files} | {folder}:
        sync(inner)


def _files(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.rglob("*") if entry.is_file())


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _load_fault(folder: Path, load: Callable[[Path], None]) -> str | None:
    try:
        load(folder)
    except CheckpointError as error:
        return str(error).rstrip(".")
    return None


def _put_aside(folder: Path) -> None:
    aside = folder.with_name(folder.name + _SPOILT)
    _remove(aside)
    folder.replace(aside)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _kept(checkpoints: Path) -> str:
    steps = steps_of(checkpoints)
    return f"The one of step {steps[-1]} is whole." if steps else "There is none yet."
