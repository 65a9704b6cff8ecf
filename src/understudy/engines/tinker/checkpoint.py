"""What a checkpoint of a student on the service is: where the service keeps it, and the counters of this side."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from understudy.errors import CheckpointError

FILE = "tinker.json"


@dataclass(frozen=True)
class TinkerState:
    """A saved student.

    Args:
        path: the service's, with the optimiser's averages; ``tinker://...``. base_model: that was trained. rank: of the
            adapters. updates: optimiser steps taken. version: last published version.
    """

    path: str
    base_model: str
    rank: int
    updates: int
    version: int


def write(folder: Path, state: TinkerState) -> None:
    """Write the record into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(asdict(state), indent=2) + "\n", encoding="utf-8")


def read(folder: Path, *, base_model: str, rank: int) -> TinkerState:
    """The record in a folder.

    Raises:
        CheckpointError: there is none, it is broken, or of another student.
    """
    try:
        state = TinkerState(**json.loads((folder / FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        what = "the checkpoint names no state on the Tinker service"
        raise CheckpointError(what, got=f"{folder}: {error}") from error
    if (state.base_model, state.rank) != (base_model, rank):
        raise CheckpointError(
            "the checkpoint is of another student",
            got=f"{state.base_model}, rank {state.rank}",
            expected=f"{base_model}, rank {rank}",
        )
    return state


def kept_state(folder: Path) -> str | None:
    """The service's path of the state that a checkpoint names; None for a checkpoint of another engine."""
    try:
        return str(json.loads((folder / FILE).read_text(encoding="utf-8"))["path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
