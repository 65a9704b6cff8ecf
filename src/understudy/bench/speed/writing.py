"""Writes a workload, in a process of its own: the one that waits for measurements holds no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from understudy.bench.speed.apart import Place, measure_apart
from understudy.bench.speed.workload import Size, size_from, write_workload


@dataclass(frozen=True)
class Written:
    """What was written; ``num_bytes`` in all."""

    num_bytes: int


def measure(folder: str, size: Mapping[str, Any]) -> Written:
    """Write the workload of a size, given as plain data."""
    write_workload(Path(folder), size_from(size))
    return Written(sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()))


def write_apart(folder: Path, size: Size) -> Written:
    """The same from another process.

    Raises:
        MeasurementError: the process failed.
    """
    return Written(**measure_apart("writing", {"folder": str(folder), "size": asdict(size)}, Place()))
