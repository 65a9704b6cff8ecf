"""``finish``: ends the work and names the files that are handed in."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.environments.office.workspace import Workspace
from understudy.environments.tools.tool import Tool

PARAMETERS: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "description": "why the work is done, in a sentence"},
        "paths": {
            "type": "array",
            "items": {"type": "string"},
            "description": "the files that you hand in, relative to the working folder",
        },
    },
    "required": ["reason", "paths"],
    "additionalProperties": False,
}


def finish(workspace: Workspace) -> Tool:
    """The tool, for this workspace; it refuses a path that does not exist."""

    def call(arguments: Mapping[str, object]) -> str:
        for one in paths_of(arguments):
            workspace.found(one)
        return ""

    return Tool("finish", "Ends the work and hands in the files it names.", PARAMETERS, call)


def paths_of(arguments: Mapping[str, object]) -> list[object]:
    """The paths that a call of ``finish`` names."""
    paths = arguments.get("paths")
    return list(paths) if isinstance(paths, list) else []
