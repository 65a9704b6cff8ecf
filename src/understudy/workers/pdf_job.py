"""Job ``pdf``: the text of a PDF file. A hostile one can keep pypdf busy without end, and its worker is killed."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable, Mapping
from typing import Any


def preload() -> None:
    """Load pypdf once, before any worker is forked."""
    import pypdf  # noqa: F401

    logging.disable(logging.CRITICAL)  # it warns of every oddity of a file that it reads well


def prepare(options: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:  # noqa: ARG001
    """Work on ``{content: base 64, pages: most, characters: most}``.

    The result has ``encrypted`` and ``num_pages``, and for each page that was read its text, or the name of the error
    that it led to, under ``pages``: ``{"text": ...}`` or ``{"error": ...}``.
    """
    return lambda payload: pages_of(
        base64.b64decode(payload["content"]), pages=payload["pages"], characters=payload["characters"]
    )


def pages_of(content: bytes, *, pages: int, characters: int) -> dict[str, Any]:
    """The text of at most so many pages; none is begun once so many characters have been read."""
    import pypdf

    reader = pypdf.PdfReader(io.BytesIO(content), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        return {"encrypted": True, "num_pages": 0, "pages": []}
    read: list[dict[str, str]] = []
    count, num_pages = 0, len(reader.pages)
    for number in range(min(num_pages, pages)):
        try:
            # Half surrogate pairs could not be sent.
            text = reader.pages[number].extract_text().strip().encode("utf-8", "replace").decode("utf-8")
            read.append({"text": text})
        except Exception as error:  # pypdf raises whatever a broken page leads it to
            read.append({"error": type(error).__name__})
        count += len(read[-1].get("text", ""))
        if count > characters:
            break
    return {"encrypted": False, "num_pages": num_pages, "pages": read}
