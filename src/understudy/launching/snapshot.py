"""A launch at one moment: its parts, its servers' queues, and how far the run is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean

from understudy.launching.asking import Answer, asked
from understudy.launching.process import Process
from understudy.training import metric_lines
from understudy.training.progress import SHOWN

_RECENT_STEPS = 20


@dataclass(frozen=True)
class PartNow:
    """One part. Args: seconds: since it was last started. is_well: what its server says; None where it has none."""

    name: str
    kind: str
    state: str
    pid: int | None
    restarts: int
    seconds: float
    url: str | None
    is_well: bool | None
    figures: Mapping[str, float]
    gpus: Sequence[int]
    exit_status: int | None
    log: str


@dataclass(frozen=True)
class RunNow:
    """The run. Args: step: how many are done. seconds_left: by the last steps. figures: those always in sight."""

    folder: str
    step: int
    steps: int
    seconds_left: float | None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """All of it. Args: at: seconds since 1970."""

    at: float
    run: RunNow
    parts: Sequence[PartNow]

    @property
    def is_well(self) -> bool:
        """Whether every part runs, and every server answers."""
        return all(part.state == "running" and part.is_well is not False for part in self.parts)

    def to_json(self) -> dict[str, object]:
        """For programs to read."""
        return {"is_well": self.is_well, **asdict(self)}


def snapshot(processes: Sequence[Process], run: Path, steps: int, environment: Mapping[str, str]) -> Snapshot:
    """Look at everything now; servers are asked at one time, for a second each."""
    served = [one for one in processes if one.part.url is not None]
    with ThreadPoolExecutor(max(1, len(served))) as pool:
        answers = dict(zip(map(id, served), pool.map(lambda one: _answer(one, environment), served), strict=True))
    parts = [_part(one, answers.get(id(one))) for one in processes]
    return Snapshot(time.time(), run_now(run, steps), parts)


def run_now(folder: Path, steps: int) -> RunNow:
    """How far the run in ``folder`` is, from its own lines of figures."""
    lines = metric_lines.read(folder / "metrics.jsonl")
    if not lines:
        return RunNow(str(folder), 0, steps, None)
    last = lines[-1]
    done = metric_lines.step_of(last) + 1
    times = [line["step_time"] or 0.0 for line in lines[-_RECENT_STEPS:] if line.get("step_time")]
    figures = {short: value for short, name in SHOWN.items() if (value := last.get(name)) is not None}
    return RunNow(str(folder), done, steps, fmean(times) * max(0, steps - done) if times else None, figures)


def _answer(process: Process, environment: Mapping[str, str]) -> Answer:
    return asked(process.part, environment) if process.is_alive else Answer(False)


def _part(process: Process, answer: Answer | None) -> PartNow:
    part = process.part
    return PartNow(
        name=part.name,
        kind=part.kind,
        state=process.state,
        pid=process.pid,
        restarts=process.restarts,
        seconds=round(process.seconds, 1),
        url=part.url,
        is_well=None if answer is None else answer.is_well,
        figures={} if answer is None else answer.figures,
        gpus=part.gpus,
        exit_status=process.exit_status,
        log=str(process.log),
    )
