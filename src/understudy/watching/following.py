"""Records of runs that grow: what was read once is not read again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.reports.reading import Line, RunRecord, line_of, read_run

MOST_KEPT = 256
"""Records in memory; those looked at longest ago go first."""
_SMALL = ("recipe.yaml", "environment.json", "summary.json", "ending.json", "evaluation/figures.jsonl")

Stamp = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Known:
    record: RunRecord
    stamp: Stamp
    metrics: Path
    inode: int
    read: int
    is_cut: bool


class Follower:
    """Gives the record of a run as it is now; several threads may ask."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, run: Path) -> RunRecord:
        """As ``read_run``, but only what was added to ``metrics.jsonl`` is read where the rest is as before.

        Raises:
            RunDirectoryError: it is no run.
        """
        with self._lock:
            known = self._known.pop(run, None)
            fresh = self._grown(run, known) if known is not None else None
            if fresh is None:
                fresh = _read(run)
            self._known[run] = fresh
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
            return fresh.record

    def _grown(self, run: Path, known: _Known) -> _Known | None:
        """What is known with the new lines; None where everything is to be read again."""
        status = _status(known.metrics)
        if known.is_cut or _stamp(run) != known.stamp or status is None:
            return None
        if status[1] < known.read or status[2] != known.inode:
            return None
        if status[1] == known.read:
            return known
        with known.metrics.open("rb") as file:
            file.seek(known.read)
            new = file.read(status[1] - known.read)
        whole = new[: new.rfind(b"\n") + 1]  # a line that is being written is read when it is whole
        lines = [line for text in whole.decode("utf-8", "replace").splitlines() if (line := line_of(text)) is not None]
        if any(_step(line) <= _last_step(known.record) for line in lines):
            return None  # a resumed run wrote a step again
        record = replace(known.record, metrics=(*known.record.metrics, *lines))
        return replace(known, record=record, read=known.read + len(whole))


def _read(run: Path) -> _Known:
    stamp, metrics = _stamp(run), run / "metrics.jsonl"
    status = _status(metrics)
    record = read_run(run)
    # Read after the size was taken: what came in between is met again as a step that is known, and all is read anew.
    size = status[1] if status else 0
    return _Known(record, stamp, metrics, status[2] if status else 0, size, is_cut=_ends_within_a_line(metrics, size))


def _ends_within_a_line(file: Path, size: int) -> bool:
    """Whether the first ``size`` bytes end in half a line, which is read when it is whole."""
    try:
        with file.open("rb") as content:
            content.seek(max(0, size - 1))
            return content.read(1) not in (b"\n", b"")
    except OSError:
        return False


def stamp_of(run: Path) -> Stamp:
    """Time and size of every file that a record is made of: the same stamp, the same record."""
    status = _status(run / "metrics.jsonl")
    return (*_stamp(run), (status[0], status[1]) if status else (0, 0))


def _stamp(run: Path) -> Stamp:
    found = (_status(run / name) for name in _SMALL)
    return tuple((status[0], status[1]) if status else (0, 0) for status in found)


def _status(file: Path) -> tuple[int, int, int] | None:
    """Time of the last change in nanoseconds, size in bytes, inode."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _step(line: Line) -> float:
    return line.get("step") or 0.0


def _last_step(record: RunRecord) -> float:
    return _step(record.metrics[-1]) if record.metrics else -1.0
