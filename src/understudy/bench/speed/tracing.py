"""One traced step, as a file and in words."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from understudy.bench.speed.apart import Place, measure_apart
from understudy.bench.speed.comparing import Order
from understudy.bench.speed.phases import PHASES
from understudy.bench.speed.step_job import Measured, StepJob
from understudy.bench.speed.workload import SIZES
from understudy.bench.speed.writing import write_apart
from understudy.errors import UserMistakeError


def trace_step(size: str, order: Order, file: Path) -> str:
    """Trace one step of the order's first setting; returns what was done, in words.

    Raises:
        UserMistakeError: the file's folder is not there. MeasurementError: the process failed.
    """
    if not file.parent.is_dir() or file.is_dir():
        raise UserMistakeError(
            "--trace needs a file in a folder that exists", got=repr(str(file)), remedy=f"Make {file.parent} first."
        )
    setting = order.settings[0]
    place = Place(threads=order.threads, limit_seconds=order.limit_seconds)
    with TemporaryDirectory(prefix="understudy-speed-") as folder:
        write_apart(Path(folder), SIZES[size])
        job = StepJob(
            folder,
            SIZES[size],
            "ours",
            setting,
            steps=1,
            threads=order.threads,
            clock=order.clock,
            trace=str(file.resolve()),
        )
        found = Measured(**measure_apart("step_job", job.to_json(), place))
    phases = ", ".join(f"{name.replace('_', ' ')} {found.seconds[name]:.3f}" for name in PHASES)
    return (
        f"{file}: one step of {size}, {setting}; {found.total:.3f} s under the profiler ({phases}).\n"
        "Open it at ui.perfetto.dev or in Chrome's about:tracing; the phases are the ranges with these names."
    )
