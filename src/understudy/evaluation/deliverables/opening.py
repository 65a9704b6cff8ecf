"""Before a file is read: whether it is where it may be, and what its name says it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Kind
from understudy.evaluation.deliverables.limits import ReadingLimits

KINDS: dict[str, Kind] = {
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".docx": "docx",
    ".pptx": "pptx",
    ".pdf": "pdf",
    ".csv": "csv",
    ".tsv": "csv",
    ".md": "md",
    ".txt": "txt",
    ".json": "json",
    ".png": "image",
    ".jpg": "image",
    ".jpeg": "image",
    ".gif": "image",
    ".eml": "eml",
    ".ics": "ics",
}
_TEXT = {"csv", "md", "txt", "json", "eml", "ics"}
_MAGIC = {b"PK\x03\x04": "zip", b"%PDF-": "pdf", b"\x89PNG\r\n": "image", b"\xff\xd8\xff": "image", b"GIF8": "image"}
_MAGIC |= {b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "old office or encrypted", b"\x7fELF": "program", b"MZ\x90": "program"}
_ZIPPED = {"xlsx", "docx", "pptx"}


def kind_of(path: Path) -> Kind:
    """What a file is by the end of its name.

    Raises:
        DeliverableError: there is no reader for it.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise DeliverableError(
            f"{path.name} is of a form without a reader", got=path.suffix or "no ending", expected=", ".join(KINDS)
        )
    return kind


def checked_content(path: Path, *, inside: Path | None, kind: Kind, limits: ReadingLimits) -> bytes:
    """The file's bytes.

    It is opened without following a symbolic link and looked at through what was opened, so that nothing put in its
    place meanwhile is read.

    Args:
        inside: the folder that must hold it, links resolved; None lets it be anywhere.
    Raises:
        DeliverableError: it is missing, outside, a link, no file, empty, too large, or not what its name says.
    """
    _check_place(path, inside)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        raise DeliverableError(f"{path.name} cannot be opened", got=getattr(error, "strerror", error)) from error
    try:
        _check_status(path, os.fstat(descriptor), limits)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limits.file_bytes + 1)
    finally:
        os.close(descriptor)
    _check_magic(path, content, kind)
    return content


def _check_place(path: Path, inside: Path | None) -> None:
    try:
        if path.is_symlink():
            raise DeliverableError(f"{path.name} is a symbolic link", remedy="Hand in the file itself.")
        if inside is not None and not path.resolve().is_relative_to(inside.resolve()):
            raise DeliverableError(f"{path.name} lies outside the workspace", got=path)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, DeliverableError):
            raise
        raise DeliverableError("the path of a deliverable cannot be followed", got=error) from error


def _check_status(path: Path, status: os.stat_result, limits: ReadingLimits) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise DeliverableError(f"{path.name} is no ordinary file")
    if status.st_size == 0:
        raise DeliverableError(f"{path.name} is empty", got="0 bytes")
    if status.st_size > limits.file_bytes:
        size, bound = f"{status.st_size:,} bytes", f"at most {limits.file_bytes:,}"
        raise DeliverableError(f"{path.name} is too large to be read", got=size, expected=bound)


def _check_magic(path: Path, content: bytes, kind: Kind) -> None:
    """A wrong ending is said, not guessed around: whoever opens the file by its name meets the same."""
    found = next((name for magic, name in _MAGIC.items() if content.startswith(magic)), "text")
    expected = "zip" if kind in _ZIPPED else "text" if kind in _TEXT else kind
    if found == "text" and expected == "pdf" and b"%PDF-" in content[:1024]:
        return
    if found != expected:
        raise DeliverableError(
            f"{path.name} is not what its name says", got=f"{found} content", expected=f"{expected} content"
        )
