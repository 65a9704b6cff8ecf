"""How much of a file is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadingLimits:
    """Bounds of a reader; every number is our choice.

    Args:
        file_bytes: a larger file is refused. unpacked_bytes, pack_ratio, members: a container that unpacks to more, to
            more than so many times its packed size (beyond ``small_bytes``), or has more members, is refused as a zip
            bomb.
        rows, columns, sheets, pages: read of each file; the rest is left out with a note. characters: of the text.
        pdf_seconds, office_seconds: a PDF or an office file that is not read by then is refused.
        image_bytes, images: pictures larger or beyond are kept without their content.
    """

    file_bytes: int = 64 << 20
    unpacked_bytes: int = 256 << 20
    pack_ratio: float = 200.0
    small_bytes: int = 4 << 20
    members: int = 5000
    rows: int = 2000
    columns: int = 100
    sheets: int = 50
    pages: int = 300
    characters: int = 1_000_000
    pdf_seconds: float = 60.0
    office_seconds: float = 60.0
    image_bytes: int = 4 << 20
    images: int = 40


LIMITS = ReadingLimits()
