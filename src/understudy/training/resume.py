"""Going on where the last whole checkpoint was made: what a run did after it is undone first."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from understudy.training import checkpoint, metric_lines
from understudy.training.durable import refused_by_disk
from understudy.training.ranks import OneRank, Ranks, by_first, led
from understudy.training.run_directory import RunDirectory

_NUMBERED = re.compile(r"step-(\d+)")


def restore(
    directory: RunDirectory,
    load: Callable[[Path], None],
    *,
    notice: Callable[[str], None],
    ranks: Ranks | None = None,
) -> int:
    """Load the last whole checkpoint and cut the run's files back to it; returns the number of steps done.

    Of several ranks the first one finds and cuts, and all load.

    Lines and rollouts of later steps go, evaluations of later weights too; those of the checkpoint's own weights
    stay, for they would come out the same.

    Raises:
        CheckpointError: there are checkpoints and none can be read.
    """
    ranks = ranks or OneRank()
    found = led(ranks, lambda each: checkpoint.load_last(directory.checkpoints, each), load)
    return by_first(ranks, lambda: _cut_back(directory, found, notice=notice))


def _cut_back(directory: RunDirectory, found: checkpoint.Found | None, *, notice: Callable[[str], None]) -> int:
    step = 0 if found is None else found.step
    for sentence in () if found is None else found.spoilt:
        notice(sentence)
    lost = metric_lines.cut(directory.metrics, below=step)
    metric_lines.cut(directory.evaluation_figures, below=step + 1)
    _delete_numbered(directory.rollouts, since=step)
    _delete_numbered(directory.evaluation, since=step + 1)
    if directory.resumed:
        again = f" {lost} later step{'s are' if lost != 1 else ' is'} done again." if lost else ""
        notice(f"Resuming after {step} step{'s' if step != 1 else ''}.{again}")
    return step


def _delete_numbered(folder: Path, *, since: int) -> None:
    """Delete the files of a folder whose names begin with ``step-NNNNNN``, from step ``since`` on."""
    if not folder.is_dir():
        return
    with refused_by_disk(folder):
        for entry in folder.iterdir():
            number = _NUMBERED.match(entry.name)
            if number and int(number[1]) >= since and entry.is_file():
                entry.unlink()
