"""A file that is there whole or as it was before: written beside and renamed."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from understudy.errors import DiskError

AGAIN = "Make room or give permission, then say it again."
"""The remedy of a command that needs no more than to be given once more."""


def write_whole(path: Path, text: str, *, remedy: str, errors: str = "strict") -> None:
    """Put ``text`` in place of the file; folders are made, and what a killed writer left beside it goes.

    Args:
        remedy: of the sentence where that fails. errors: what becomes of characters that cannot be encoded.
    Raises:
        DiskError: the disk refuses; a file that was there is as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with refused_by_disk(path, remedy=remedy):
            path.parent.mkdir(parents=True, exist_ok=True)
            _forget_the_dead(path)
            beside.write_text(text, encoding="utf-8", errors=errors, newline="\n")
            beside.replace(path)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


@contextmanager
def refused_by_disk(path: Path, *, remedy: str) -> Iterator[None]:
    """Turn the error of a write, Python's own or that of safetensors, into a DiskError that names ``path``."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise DiskError(f"{path} cannot be written", got=_why(error), remedy=remedy) from error


def _why(error: OSError | SafetensorError) -> str:
    """What the system said; of files that were copied together, of the first that failed."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])
    return str(getattr(error, "strerror", None) or error)


def is_untouched(folder: Path) -> bool:
    """Whether a folder is missing or empty, but for what is hidden: the halves that killed writers left."""
    return not folder.exists() or all(entry.name.startswith(".") for entry in folder.iterdir())


def _forget_the_dead(path: Path) -> None:
    """Each writer has a name of its own, by its process: of those that no longer run, nobody else takes them away."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
        number = left.name.rpartition(".")[2]
        if number.isascii() and number.isdigit() and not _runs(int(number)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True
