"""A file that is there whole or as it was before: written beside and renamed."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from understudy.errors import DiskError

_BARE = re.compile(r"(.*) \(os error \d+\)", re.DOTALL)

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
    """Turn the error of a write into a DiskError that names ``path``; others pass."""
    try:
        yield
    except Exception as error:
        why = said_by_disk(error)
        if why is None:
            raise
        raise DiskError(f"{path} cannot be written", got=why, remedy=remedy) from error


def said_by_disk(error: Exception) -> str | None:
    """What the system said where a write failed: Python's own, or one of safetensors or tokenizers; None for others.

    >>> said_by_disk(OSError(28, "No space left on device")), said_by_disk(ValueError("x"))
    ('No space left on device', None)
    """
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])  # of files that were copied together, the first that failed
    if isinstance(error, OSError | SafetensorError):
        return str(getattr(error, "strerror", None) or error)
    # tokenizers has no class of its own for it.
    told = _BARE.fullmatch(str(error)) if type(error) is Exception else None
    return told and told[1]


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
