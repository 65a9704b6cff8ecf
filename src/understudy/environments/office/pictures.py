"""``view_image``: a picture of the workspace, for agents that can see; its size, for those that cannot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath

from understudy.environments.office.workspace import Workspace
from understudy.environments.tools.tool import Picture, Result, Tool, ToolError, parameters

MOST_BYTES = 4 << 20
_SIGNS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"RIFF": "image/webp",
}


def view_image(workspace: Workspace) -> Tool:
    """The tool, for this workspace."""

    def call(arguments: Mapping[str, object]) -> Result:
        place = workspace.found(arguments["path"])
        content = _content(workspace, place)
        media_type = next((kind for sign, kind in _SIGNS.items() if content.startswith(sign)), None)
        if media_type is None:
            raise ToolError(f"{place} is no picture", expected="PNG, JPEG, GIF or WebP")
        text = f"{place}: {media_type}, {len(content):,} bytes"
        return Result(text, (Picture(media_type, content),))

    return Tool(
        name="view_image",
        description="Shows a picture of your working folder.",
        parameters=parameters({"path": "of the picture, relative to the working folder"}),
        call=call,
    )


def _content(workspace: Workspace, named: PurePosixPath) -> bytes:
    path = workspace.folder / named
    if path.is_dir():
        raise ToolError(f"{named} is a folder")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise ToolError(f"{named} cannot be opened", got=error.strerror) from error
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ToolError(f"{named} is too large to be shown", expected=f"at most {MOST_BYTES:,} bytes")
    return content
