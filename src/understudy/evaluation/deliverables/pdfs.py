"""PDF files: the text of each page, read in a worker process that is killed when it takes too long."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Block, Deliverable, blocks_text
from understudy.evaluation.deliverables.limits import ReadingLimits
from understudy.workers import JobFailedError, OvertimeError, shared

_MEMORY_BYTES = 2 << 30


def read_pdf(content: bytes, *, name: str, limits: ReadingLimits) -> Deliverable:
    """A ``.pdf`` file; a page that cannot be read is a note, and so are pages without text, which may be pictures.

    pypdf itself bounds what a compressed stream may unpack to; nothing but a deadline bounds its time.

    Raises:
        DeliverableError: it is corrupt, encrypted with a password, or takes longer than ``limits.pdf_seconds``.
        ModuleNotFoundError: pypdf is not installed.
    """
    if find_spec("pypdf") is None:
        raise ModuleNotFoundError("No module named 'pypdf'")
    found = _found(content, name=name, limits=limits)
    if found["encrypted"]:
        raise DeliverableError(f"{name} is encrypted", remedy="Hand it in without a password.")
    blocks, notes = list[Block](), list[str]()
    for number, page in enumerate(found["pages"], start=1):
        text = page.get("text", "")
        blocks += [Block("page", f"Page {number}", number), *([Block("paragraph", text)] if text else [])]
        if "error" in page:
            notes.append(f"Page {number} cannot be read ({page['error']}).")
        if not text:
            notes.append(f"Page {number} has no text.")
    num_pages, num_read = found["num_pages"], len(found["pages"])
    if num_read < min(num_pages, limits.pages):
        notes.append(f"Pages after page {num_read} are not read.")
    if num_pages > limits.pages:
        notes.append(f"{num_pages - limits.pages} further pages are not read.")
    pieces = tuple(blocks)
    text = blocks_text(pieces, ())
    return Deliverable(name, "pdf", len(content), text, blocks=pieces, num_pages=num_pages, notes=tuple(notes))


def _found(content: bytes, *, name: str, limits: ReadingLimits) -> Mapping[str, Any]:
    workers = shared("pdf", seconds=limits.pdf_seconds, memory_bytes=_MEMORY_BYTES)
    payload = {
        "content": base64.b64encode(content).decode(),
        "pages": limits.pages,
        "characters": limits.characters,
    }
    try:
        found: Mapping[str, Any] = workers.run(payload)
    except OvertimeError as error:
        raise DeliverableError(
            f"{name} takes too long to read",
            got=f"no text after {limits.pdf_seconds:g} s",
            remedy="Hand it in as a plainer file.",
        ) from error
    except JobFailedError as error:
        raise DeliverableError(f"{name} is corrupt", got=error.got) from error
    return found
