"""Some training steps of one setting, measured in this process. TRL's Python runs this file too."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch

from understudy.bench.speed.phases import PHASES, Clock, Phases
from understudy.bench.speed.resident import forget_peak_memory, peak_memory
from understudy.bench.speed.trace import OneStepTrace
from understudy.bench.speed.workload import Size, size_from

Side = Literal["ours", "peer"]


@dataclass(frozen=True)
class StepJob:
    """What to measure.

    Args:
        folder: of ``write_workload``. side: whose steps. setting: one of that side's in ``settings``.
        steps: after one that is thrown away. threads, clock: as they are named. trace: file for the last step's trace.
    """

    folder: str
    size: Size
    side: Side
    setting: str
    steps: int
    threads: int = 1
    clock: Clock = "wall"
    trace: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The arguments of ``measure``."""
        return {"job": asdict(self)}


@dataclass(frozen=True)
class Measured:
    """Medians over the steps of one process.

    Args:
        seconds: by phase, and ``total``. tokens: trained on in a step, their mean.
        memory_mib: most resident memory during the steps, above what the process held before the first.
        peak_mib: the same, with what it held.
    """

    seconds: dict[str, float]
    tokens: float
    memory_mib: float
    peak_mib: float

    @property
    def total(self) -> float:
        """Seconds of a step."""
        return self.seconds["total"]

    @property
    def tokens_a_second(self) -> float:
        """Completion tokens that are sampled, scored and trained on in a second."""
        return self.tokens / self.total if self.total else 0.0


def measure(job: Mapping[str, Any]) -> Measured:
    """Time the steps of a job; the first is thrown away."""
    return measure_job(job_of(job))


def job_of(record: Mapping[str, Any]) -> StepJob:
    """A job from plain data."""
    return StepJob(**{**record, "size": size_from(record["size"])})


def measure_job(job: StepJob) -> Measured:
    """Time the steps of a job; the first is thrown away."""
    torch.set_num_threads(job.threads)
    held: list[float] = []
    with OneStepTrace(Path(job.trace), step=1 + job.steps) if job.trace else nullcontext() as trace:
        phases = Phases(
            on_first_step=lambda: held.append(forget_peak_memory()),
            on_step=trace.after if trace else lambda _: None,
            clock=job.clock,
            named=trace is not None,
        )
        run = import_module(f"understudy.bench.speed.{job.side}").time_steps
        tokens = run(Path(job.folder), job.size, job.setting, steps=1 + job.steps, threads=job.threads, phases=phases)
    kept = phases.steps[1:]
    seconds = {name: statistics.median(step[name] for step in kept) for name in (*PHASES, "total")}
    peak = peak_memory()
    return Measured(seconds, statistics.mean(tokens[1:]), memory_mib=peak - held[0], peak_mib=peak)
