"""JSON lines, one a step: written to last, read with tolerance for a line that a crash cut short."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from understudy.training.durable import append_line, write_text

Line = dict[str, float | None]
_MOST_STEPS = 1 << 63


def append(path: Path, step: int, figures: Mapping[str, float]) -> None:
    """Add a step's line, on the disk when the call returns; what is not finite becomes null."""
    append_line(path, _encoded({"step": step, **figures}))


def read(path: Path) -> list[Line]:
    """All whole lines, in order; a line that cannot be read (cut short by a crash) is left out."""
    if not path.exists():
        return []
    lines = (_decoded(text) for text in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [line for line in lines if line is not None]


def cut(path: Path, *, below: int) -> int:
    """Keep the lines of steps before ``below``, all at once or not at all; returns how many were dropped.

    A file that has no others stays untouched: its age says when the last line was written.
    """
    if not path.exists():
        return 0
    lines = read(path)
    kept = [line for line in lines if step_of(line) < below]
    text = "".join(_encoded(line) + "\n" for line in kept)
    if text != path.read_text(encoding="utf-8", errors="replace"):
        write_text(path, text)
    return len(lines) - len(kept)


def step_of(line: Mapping[str, float | None]) -> int:
    """The step a line belongs to."""
    step = line.get("step")
    return -1 if step is None else int(step)


def _encoded(line: Mapping[str, float | None]) -> str:
    finite = {name: value if value is not None and _is_finite(value) else None for name, value in line.items()}
    return json.dumps(finite, allow_nan=False)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond any float
        return False


def _decoded(text: str) -> Line | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    step = line.get("step") if isinstance(line, dict) else None
    if type(step) is not int or not 0 <= step < _MOST_STEPS:
        return None
    return line if all(value is None or isinstance(value, int | float) for value in line.values()) else None
