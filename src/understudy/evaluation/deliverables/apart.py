"""Office files read in a worker process, which is killed when it takes too long or too much memory."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Deliverable, Kind
from understudy.evaluation.deliverables.documents import read_document
from understudy.evaluation.deliverables.limits import ReadingLimits
from understudy.evaluation.deliverables.plain_form import from_plain_form, plain_form
from understudy.evaluation.deliverables.slides import read_slides
from understudy.evaluation.deliverables.spreadsheets import read_workbook
from understudy.workers import JobFailedError, OvertimeError, shared

_READERS: dict[Kind, Callable[..., Deliverable]] = {
    "xlsx": read_workbook,
    "docx": read_document,
    "pptx": read_slides,
}
_MEMORY_BYTES = 2 << 30
_TIMES_THE_TEXT = 16
"""A file whose cells and paragraphs have so many times the characters that are read is refused whole."""


def read_office(content: bytes, *, kind: Kind, name: str, limits: ReadingLimits) -> Deliverable:
    """An ``.xlsx``, ``.docx`` or ``.pptx`` file, read elsewhere.

    Raises:
        DeliverableError: see ``archives.opened_archive``; or it takes longer than ``limits.office_seconds``, too much
            memory, or holds too much text.
        ModuleNotFoundError: its library is not installed.
    """
    workers = shared(
        "office",
        options={"reader": f"{__name__}:{work.__name__}"},
        seconds=limits.office_seconds,
        memory_bytes=_MEMORY_BYTES,
    )
    arguments = {"kind": kind, "name": name, "limits": asdict(limits)}
    try:
        found = workers.run({"content": base64.b64encode(content).decode(), "arguments": arguments})
    except OvertimeError as error:
        raise DeliverableError(
            f"{name} takes too long to read",
            got=f"nothing after {limits.office_seconds:g} s",
            remedy="Hand it in as a plainer file.",
        ) from error
    except JobFailedError as error:
        raise DeliverableError(f"{name} is corrupt", got=error.got) from error
    if "missing" in found:
        raise ModuleNotFoundError(found["missing"])
    if "refused" in found:
        raise DeliverableError(**found["refused"])
    return from_plain_form(found["read"])


def work(content: bytes, *, kind: Kind, name: str, limits: Mapping[str, Any]) -> dict[str, Any]:
    """In the worker: ``{"read": plain form}``, ``{"refused": a DeliverableError's words}`` or ``{"missing": ...}``."""
    bounds = ReadingLimits(**limits)
    try:
        read = _READERS[kind](content, name=name, limits=bounds)
        _check_length(read, bounds)
    except ModuleNotFoundError as error:
        return {"missing": str(error)}
    except DeliverableError as error:
        said = {"got": error.got, "expected": error.expected}
        texts = {key: None if value is None else str(value) for key, value in said.items()}
        return {"refused": {"what": error.what, "remedy": error.remedy, **texts}}
    return {"read": plain_form(read)}


def _check_length(read: Deliverable, limits: ReadingLimits) -> None:
    """A few strings that a million cells share make a small file whose text fills the memory of whoever is given it."""
    cells = sum(len(str(value)) for sheet in read.tables for row in sheet.rows for value in row if value is not None)
    length = cells + sum(len(block.text) for block in read.blocks) + len(read.text)
    most = _TIMES_THE_TEXT * limits.characters
    if length > most:
        raise DeliverableError(f"{read.name} holds too much text", got=f"{length:,} characters", expected=f"{most:,}")
