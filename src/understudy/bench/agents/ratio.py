"""Which of ATOD's two signals is the stronger one, from the rollouts that a run kept."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from understudy.training import rollout_files

_HALVES = ("policy/distillation", "policy/reward")


def signal_ratio(file: Path) -> float | None:
    """Mean |kappa w A_OPD| / mean |rho A_GRPO| over the student's tokens of one step's rollouts.

    None where the method has no such halves, and where every group was equally rewarded.

    Source: ATOD, arXiv:2606.27814.
    """
    names = pq.read_schema(file).names
    if not set(_HALVES) <= set(names):
        return None
    table = pq.read_table(file, columns=list(_HALVES))
    distilled, rewarded = (_mean_size(table.column(name).to_pylist()) for name in _HALVES)
    return distilled / rewarded if rewarded > 0 else None


def kept_ratios(folder: Path, *, steps: int) -> dict[int, float | None]:
    """By step, of all steps whose rollouts a run's folder keeps."""
    files = {step: rollout_files.file_of(folder, step) for step in range(steps)}
    return {step: signal_ratio(file) for step, file in files.items() if file.is_file()}


def crossing(steps: Sequence[int], ratios: Sequence[float | None]) -> tuple[int, int] | None:
    """The last step above one and the first at or below it, between which the ratio crosses; None where it does not.

    >>> crossing([0, 4, 8], [5.0, 1.5, 0.6])
    (4, 8)
    >>> crossing([0, 4], [5.0, 1.5]) is None
    True
    """
    known = [(step, ratio) for step, ratio in zip(steps, ratios, strict=True) if ratio is not None]
    for (before, above), (after, below) in itertools.pairwise(known):
        if above > 1 >= below:
            return before, after
    return None


def _mean_size(turns: Sequence[Sequence[float | None] | None]) -> float:
    values = np.asarray([value for turn in turns for value in turn or () if value is not None], dtype=np.float64)
    values = values[~np.isnan(values)]
    return float(np.abs(values).mean()) if values.size else 0.0
