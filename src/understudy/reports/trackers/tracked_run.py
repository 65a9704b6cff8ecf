"""What a tracker is told of a run, and how it knows the run again when it is resumed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

IDENTITY = "trackers.json"
"""Name of the file in a run's folder that holds the name trackers know it by."""

PROJECT = "understudy"
"""Where runs are gathered unless the tracker's own environment variable names another project."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told of a run.

    Args:
        path: its folder. name: for people. id: the same in every session. config: the resolved recipe, plain values.
    """

    path: Path
    name: str
    id: str
    config: Mapping[str, Any]


class Tracker(Protocol):
    """An open tracker; each of its methods may raise anything."""

    where: str

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        """Take finite figures; steps ascend, two calls may have the same step."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


def identity(path: Path) -> str:
    """The id of the run in this folder, made at its first session and read from the folder in later ones."""
    file = path / IDENTITY
    try:
        known = json.loads(file.read_text(encoding="utf-8"))["id"]
    except (OSError, ValueError, KeyError, TypeError):
        known = None  # the first session, or a file that a crash spoilt
    if isinstance(known, str) and known.isalnum():
        return known
    made = uuid.uuid4().hex[:12]
    beside = file.with_name(f".{IDENTITY}.writing")
    with suppress(OSError):  # then the next session is another run to the trackers, and nothing worse
        beside.write_text(json.dumps({"id": made}) + "\n", encoding="utf-8")
        beside.replace(file)
    return made
