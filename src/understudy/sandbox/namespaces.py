"""The command that sets the stage by the kernel's namespaces alone, where bubblewrap is not installed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from understudy.sandbox.layout import GATE, WORKSPACE, Place, interpreter
from understudy.sandbox.ownership import is_privileged

_SCRIPT = Path(__file__).with_name("unsharing.py")


def namespaces(places: Sequence[Place], *, scratch_bytes: int, command: Sequence[str]) -> list[str]:
    """``unsharing.py`` with all it is to do, and the gate's command after it."""
    plan = {
        "places": [dataclasses.asdict(place) for place in places],
        "scratch_bytes": scratch_bytes,
        "new_user": not is_privileged(),
        "folder": WORKSPACE,
        "environment": {"PYTHONPATH": GATE, "LANG": "C.UTF-8"},
    }
    return [interpreter(), "-I", "-S", "-B", str(_SCRIPT), json.dumps(plan), *command]
