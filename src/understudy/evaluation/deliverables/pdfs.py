"""PDF files: the text of each page."""

from __future__ import annotations

import io
import logging

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Block, Deliverable, blocks_text
from understudy.evaluation.deliverables.limits import ReadingLimits


def read_pdf(content: bytes, *, name: str, limits: ReadingLimits) -> Deliverable:
    """A ``.pdf`` file; a page that cannot be read is a note, and so are pages without text, which may be pictures.

    pypdf itself bounds what a compressed stream may unpack to.

    Raises:
        DeliverableError: it is corrupt, or encrypted with a password.
    """
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every oddity of a file that it reads well
    reader = pypdf.PdfReader(io.BytesIO(content), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise DeliverableError(f"{name} is encrypted", remedy="Hand it in without a password.")
    num_pages = len(reader.pages)
    blocks, notes, characters = list[Block](), list[str](), 0
    for number in range(min(num_pages, limits.pages)):
        text = _page_text(reader, number, notes)
        characters += len(text)
        blocks += [Block("page", f"Page {number + 1}", number + 1), *([Block("paragraph", text)] if text else [])]
        if not text:
            notes.append(f"Page {number + 1} has no text.")
        if characters > limits.characters:
            notes.append(f"Pages after page {number + 1} are not read.")
            break
    if num_pages > limits.pages:
        notes.append(f"{num_pages - limits.pages} further pages are not read.")
    pieces = tuple(blocks)
    text = blocks_text(pieces, ())
    return Deliverable(name, "pdf", len(content), text, blocks=pieces, num_pages=num_pages, notes=tuple(notes))


def _page_text(reader: object, number: int, notes: list[str]) -> str:
    try:
        return reader.pages[number].extract_text().strip()  # type: ignore[attr-defined]
    except Exception as error:  # pypdf raises whatever a broken page leads it to
        notes.append(f"Page {number + 1} cannot be read ({type(error).__name__}).")
        return ""
