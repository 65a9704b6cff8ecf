"""Is there room on the disk for what the run keeps?"""

from __future__ import annotations

import shutil
from pathlib import Path

from understudy.doctor.findings import Finding, ok, stop
from understudy.recipe import Recipe

_BYTES_A_TOKEN = 40
"""Of a rollout's Parquet file, all narrow columns."""


def kept_bytes(recipe: Recipe, *, trained_parameters: int, parameters: int) -> int:
    """What a run writes at most: checkpoints (one more than it keeps, while it is written) and rollouts.

    Args:
        trained_parameters: with their two moments. parameters: of the exported model.
    """
    trained = 4 * trained_parameters
    average = trained if recipe.student.ema_decay is not None else 0
    exported = trained if recipe.student.lora is not None else 4 * parameters
    checkpoints = recipe.checkpoint.keep_last + 1 + (recipe.checkpoint.keep_best is not None)
    rollout = recipe.rollout
    tokens = rollout.prompts_per_step * rollout.num_generations * rollout.max_completion_length * rollout.max_turns
    return checkpoints * (exported + 2 * trained + average) + recipe.steps * tokens * _BYTES_A_TOKEN


def disk_finding(folder: Path, *, needed: int) -> Finding:
    """Free space where the run's folder is, or will be."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    said = f"the run keeps up to {needed / 2**30:,.2f} GiB, {free / 2**30:,.1f} GiB are free"
    if needed < free:
        return ok("disk", said)
    return stop(
        "disk",
        said,
        "Free space, lower checkpoint.keep_last or rollout.prompts_per_step, or set output to another disk.",
    )
