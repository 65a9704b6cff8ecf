"""One file in, one ``Deliverable`` or one sentence of why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from understudy.errors import DeliverableError, UserMistakeError
from understudy.evaluation.deliverables.apart import read_office
from understudy.evaluation.deliverables.deliverable import Deliverable, Kind
from understudy.evaluation.deliverables.limits import LIMITS, ReadingLimits
from understudy.evaluation.deliverables.mail import read_calendar, read_mail
from understudy.evaluation.deliverables.opening import checked_content, kind_of
from understudy.evaluation.deliverables.pdfs import read_pdf
from understudy.evaluation.deliverables.pictures import read_image
from understudy.evaluation.deliverables.plain import read_csv, read_json, read_markdown, read_text
from understudy.evaluation.deliverables.recalculating import Recalculate
from understudy.evaluation.deliverables.spreadsheets import needs_program, recalculated

_BOUNDED: dict[Kind, Callable[..., Deliverable]] = {
    "pdf": read_pdf,
    "csv": read_csv,
    "image": read_image,
    "ics": read_calendar,
}
_WHOLE: dict[Kind, Callable[..., Deliverable]] = {
    "md": read_markdown,
    "txt": read_text,
    "json": read_json,
    "eml": read_mail,
}


def read_deliverable(
    path: Path,
    *,
    inside: Path | None = None,
    limits: ReadingLimits = LIMITS,
    recalculate: Recalculate | None = None,
) -> Deliverable:
    """What a handed-in file holds.

    Args:
        path: of the file; its ending says which reader. inside: the folder that must hold it, such as the task's
            ``deliverables``; None lets it be anywhere. recalculate: a program for formulas that are not computed here,
            such as ``libreoffice()``.
    Raises:
        DeliverableError: it is missing, outside, a symbolic link, empty, corrupt, encrypted, too large, a zip bomb, not
            what its name says, or of a form without a reader; whatever a reader's library raises becomes this.
        UserMistakeError: the library that reads this form is not installed.
    """
    kind = kind_of(path)
    content = checked_content(path, inside=inside, kind=kind, limits=limits)
    try:
        read = _read(content, kind=kind, name=path.name, limits=limits)
        if recalculate is not None and needs_program(read) and (made := recalculate(content)) is not None:
            # A program that read a stranger's file: its own is looked at like one.
            read = recalculated(read, _read(made, kind=kind, name=path.name, limits=limits))
    except ModuleNotFoundError as error:
        raise UserMistakeError(
            f"{path.suffix} files cannot be read here", got=str(error), remedy="pip install 'understudy[office]'"
        ) from error
    except DeliverableError:
        raise
    except Exception as error:  # a hostile file may lead a library anywhere; it costs that file and nothing else
        raise DeliverableError(f"{path.name} is corrupt", got=f"{type(error).__name__}: {error}"[:300]) from error
    return _cut(read, limits)


def _read(content: bytes, *, kind: Kind, name: str, limits: ReadingLimits) -> Deliverable:
    if kind in ("xlsx", "docx", "pptx"):
        return read_office(content, kind=kind, name=name, limits=limits)
    if kind in _WHOLE:
        return _WHOLE[kind](content, name=name)
    return _BOUNDED[kind](content, name=name, limits=limits)


def _cut(read: Deliverable, limits: ReadingLimits) -> Deliverable:
    left = len(read.text) - limits.characters
    if left <= 0:
        return read
    notes = (*read.notes, f"The last {left:,} characters are not read.")
    return replace(read, text=read.text[: limits.characters], notes=notes)
