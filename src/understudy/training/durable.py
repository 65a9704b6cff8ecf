"""Writes that survive a crash: whole or not at all, and on the disk when the call returns."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from understudy import written_whole


def write_text(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``; raises DiskError when the disk refuses."""
    write_file(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Replace ``path`` by indented JSON."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a file beside ``path``, then rename it; a failure leaves the old file as it was."""
    beside = path.with_name(f".{path.name}.writing")
    with refused_by_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(beside)
            sync(beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        sync(path.parent)


def append_line(path: Path, line: str) -> None:
    """Add one line, on the disk when the call returns."""
    with refused_by_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refused_by_disk(path: Path) -> AbstractContextManager[None]:
    """Turn the error of a write into a DiskError whose remedy is to go on."""
    return written_whole.refused_by_disk(path, remedy="Make room or give permission, then go on with --resume.")
