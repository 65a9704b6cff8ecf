"""Where else the figures of a run go: the trackers a recipe may name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

TrackerName = Literal["tensorboard", "wandb", "trackio"]


def _listed(value: object) -> object:
    if value is None or value == "none":
        return ()
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return names
    return tuple(name for place, name in enumerate(names) if name not in names[:place])


TrackerNames = Annotated[tuple[TrackerName, ...], BeforeValidator(_listed)]
"""Names of trackers, each once; one name may stand for a list of one, ``none`` for the empty one, as in TRL."""
