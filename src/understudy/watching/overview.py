"""The table of runs: one row each, filtered and sorted as the address says."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from understudy.errors import RunDirectoryError
from understudy.reports.figures import as_mapping, as_number, duration, number, percent
from understudy.reports.reading import RunRecord
from understudy.watching.finding import FoundRun, strays_of
from understudy.watching.following import Follower, Stamp, stamp_of
from understudy.watching.states import Standing, State, standing_of

_RECENT = 10
"""Steps whose time tells how long the others will take."""

SORTS = ("name", "method", "student", "state", "step", "left", "metric", "started")
"""Columns of the table, by the word that the address has for them."""


@dataclass(frozen=True)
class Row:
    """A run in the table.

    Args:
        key: in addresses. name, place, method, student, state, why: as shown. step, total: done and planned; total is
            0 if unknown.
        left_seconds: until the end, of a run that goes on. metric, value, shown: the main figure, its value, and that
            in words. started: seconds since 1970. started_words: the same for people.
    """

    key: str
    name: str
    place: str
    method: str
    student: str
    state: State
    why: str
    step: int
    total: int
    left_seconds: float | None
    metric: str
    value: float | None
    shown: str
    started: float

    @property
    def left(self) -> str:
        """Time until the end, in words; empty where nobody knows."""
        return duration(self.left_seconds) if self.left_seconds is not None else ""

    @property
    def started_words(self) -> str:
        """Day and time, UTC."""
        return datetime.fromtimestamp(self.started, UTC).strftime("%Y-%m-%d %H:%M")

    @property
    def started_exactly(self) -> str:
        """As HTML's ``datetime`` has it."""
        return datetime.fromtimestamp(self.started, UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Choice:
    """What of the table is shown: runs that have all ``words`` somewhere, in one state, in an order."""

    words: str = ""
    state: str = ""
    sort: str = "started"
    falling: bool = True


Kept = dict[str, tuple[tuple[Stamp, Standing], Row]]
"""Rows made before, by the run's key, each with what it was made of."""


def rows_of(runs: Iterable[FoundRun], follower: Follower, kept: Kept) -> list[Row]:
    """A row for every run that can be read and that keeps to its folder; the same again where nothing has changed.

    More runs than the follower holds records of would else all be read anew each time.
    """
    rows = []
    for run in runs:
        if strays_of(run):
            continue
        try:
            made_of = stamp_of(run.path), standing_of(run.path)
            if run.key not in kept or kept[run.key][0] != made_of:
                kept[run.key] = made_of, _row(run, follower.record(run.path), made_of[1])
            rows.append(kept[run.key][1])
        except (RunDirectoryError, OSError):
            continue  # gone while we looked
    return rows


def chosen(rows: Sequence[Row], choice: Choice) -> list[Row]:
    """The rows that fit, in order; those without a value come last either way."""
    words = choice.words.lower().split()
    fitting = [
        row
        for row in rows
        if (not choice.state or row.state == choice.state)
        and all(word in f"{row.name} {row.place} {row.method} {row.student} {row.state}".lower() for word in words)
    ]
    read = {
        "name": lambda row: row.name.lower(),
        "method": lambda row: row.method,
        "student": lambda row: row.student,
        "state": lambda row: row.state,
        "step": lambda row: row.step,
        "left": lambda row: row.left_seconds,
        "metric": lambda row: row.value,
        "started": lambda row: row.started,
    }[choice.sort if choice.sort in SORTS else "started"]
    known = [row for row in fitting if read(row) is not None]
    unknown = [row for row in fitting if read(row) is None]
    return sorted(sorted(known, key=lambda row: row.name), key=read, reverse=choice.falling) + unknown


def _row(run: FoundRun, record: RunRecord, standing: Standing) -> Row:
    step = int((record.metrics[-1].get("step") or 0) + 1) if record.metrics else 0
    total = int(as_number(record.setting("steps")) or 0)
    times = [line.get("step_time") or 0.0 for line in record.metrics[-_RECENT:]]
    left = max(0, total - step) * sum(times) / len(times) if standing.state == "running" and times and total else None
    metric, value, shown = _main(record)
    return Row(
        key=run.key,
        name=record.name,
        place=run.place,
        method=str(record.setting("objective", "method") or ""),
        student=str(record.setting("student", "model") or ""),
        state=standing.state,
        why=standing.why,
        step=step,
        total=total,
        left_seconds=left,
        metric=metric,
        value=value,
        shown=shown,
        started=_started(run.path),
    )


def _main(record: RunRecord) -> tuple[str, float | None, str]:
    """The newest mean of the first suite; without one accuracy, reward, or the distance to the teacher."""
    suites = as_mapping((record.summary or {}).get("suites"))
    for line in reversed(record.evaluations):
        names = [
            name for name in line if name.startswith("eval/") and name.endswith("/mean") and line[name] is not None
        ]
        if names:
            value = line[names[0]]
            assert value is not None
            suite = names[0].removeprefix("eval/").removesuffix("/mean")
            lower = as_mapping(suites.get(suite)).get("better") == "lower"
            return suite, value, number(value) if lower or not 0 <= value <= 1 else percent(value)
    for name in ("accuracy", "reward", "kl/reverse_k1", "loss"):
        value = next((line[name] for line in reversed(record.metrics[-50:]) if line.get(name) is not None), None)
        if value is not None:
            return name, value, percent(value) if name == "accuracy" else number(value)
    return "", None, ""


def _started(run: Path) -> float:
    """When its recipe was written, which happens once."""
    for name in ("recipe.yaml", "metrics.jsonl"):
        try:
            return (run / name).stat().st_mtime
        except OSError:
            continue
    return time.time()
