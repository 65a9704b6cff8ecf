"""Pictures: their form and size from the header; nothing is decoded."""

from __future__ import annotations

import struct

from understudy.errors import DeliverableError
from understudy.evaluation.deliverables.deliverable import Deliverable, Image
from understudy.evaluation.deliverables.limits import ReadingLimits

_PNG, _JPEG, _GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"GIF87a", b"GIF89a")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_ALONE = {0x01, *range(0xD0, 0xD8)}


def picture(content: bytes, *, name: str, limits: ReadingLimits) -> Image:
    """A PNG, JPEG or GIF.

    Raises:
        DeliverableError: it is none, or its header ends early.
    """
    try:
        media_type, width, height = _header(content)
    except (struct.error, IndexError) as error:
        raise DeliverableError(f"{name} is corrupt", got="a picture whose header ends early") from error
    if not media_type or not width or not height:
        raise DeliverableError(f"{name} is corrupt", got="no picture", expected="PNG, JPEG or GIF")
    kept = content if len(content) <= limits.image_bytes else b""
    return Image(name, media_type, width, height, len(content), kept)


def read_image(content: bytes, *, name: str, limits: ReadingLimits) -> Deliverable:
    """A picture as a deliverable; its text is one line."""
    image = picture(content, name=name, limits=limits)
    text = f"[picture {name}: {image.media_type}, {image.width} x {image.height} pixels]"
    notes = () if image.content else (f"The picture of {len(content):,} bytes is too large to be shown.",)
    return Deliverable(name, "image", len(content), text, images=(image,), notes=notes)


def _header(content: bytes) -> tuple[str, int, int]:
    if content.startswith(_PNG):
        width, height = struct.unpack(">II", content[16:24])
        return "image/png", width, height
    if content.startswith(_GIF):
        width, height = struct.unpack("<HH", content[6:10])
        return "image/gif", width, height
    if content.startswith(_JPEG):
        return "image/jpeg", *_jpeg_size(content)
    return "", 0, 0


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """From the first frame's segment."""
    at = 2
    while True:
        while content[at] == 0xFF:
            at += 1
        marker = content[at]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 4 : at + 8])
            return width, height
        at += 1
        if marker not in _ALONE:
            (length,) = struct.unpack(">H", content[at : at + 2])
            at += max(2, length)
