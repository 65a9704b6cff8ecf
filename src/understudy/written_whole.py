"""A file that is there whole or as it was before: written beside and renamed."""

from __future__ import annotations

import glob
import os
from contextlib import suppress
from pathlib import Path

from understudy.errors import UnderstudyError


def write_whole(path: Path, text: str, *, remedy: str, errors: str = "strict") -> None:
    """Put ``text`` in place of the file; folders are made, and what a killed writer left beside it goes.

    Args:
        remedy: of the sentence where that fails. errors: what becomes of characters that cannot be encoded.
    Raises:
        UnderstudyError: the disk refuses; a file that was there is as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _forget_the_dead(path)
        beside.write_text(text, encoding="utf-8", errors=errors, newline="\n")
        beside.replace(path)
    except OSError as error:
        raise UnderstudyError(f"{path} cannot be written", got=error.strerror or error, remedy=remedy) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


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
