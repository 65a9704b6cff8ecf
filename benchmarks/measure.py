"""One measurement in a fresh process: `measure_apart` asks for it, `python -m benchmarks.measure` makes it."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import warnings
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import torch

from benchmarks.phases import PHASES, Phases, forget_peak_memory, peak_memory
from benchmarks.workload import SIZES

Clock = Literal["wall", "cpu"]


@dataclass(frozen=True)
class Measured:
    """Medians over the steps of one process.

    Args:
        seconds: by phase, and ``total``. tokens: trained on in a step, their mean.
        memory_mib: most resident memory during the steps, above what the process held before the first.
    """

    seconds: dict[str, float]
    tokens: float
    memory_mib: float


def measure(folder: Path, size: str, side: str, setting: str, *, steps: int, threads: int, clock: Clock) -> Measured:
    """Time ``steps`` steps after one that is thrown away.

    Args:
        folder: of ``write_workload``. side: ``ours`` or ``peer``. setting: one of that side's ``SETTINGS``.
    """
    torch.set_num_threads(threads)
    held: list[float] = []
    phases = Phases(on_first_step=lambda: held.append(forget_peak_memory()), clock=clock)
    run = import_module(f"benchmarks.{side}").time_steps
    tokens = run(folder, SIZES[size], setting, steps=1 + steps, threads=threads, phases=phases)
    kept = phases.steps[1:]
    seconds = {name: statistics.median(step[name] for step in kept) for name in (*PHASES, "total")}
    return Measured(seconds, statistics.mean(tokens[1:]), peak_memory() - held[0])


def measure_apart(
    folder: Path, size: str, side: str, setting: str, *, steps: int, threads: int, clock: Clock
) -> Measured:
    """``measure`` in a process of its own, so that neither side finds the other's caches or threads."""
    command = [sys.executable, "-m", "benchmarks.measure", str(folder), size, side, setting]
    command += ["--steps", str(steps), "--threads", str(threads), "--clock", clock]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TRL_EXPERIMENTAL_SILENCE": "1"}
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{side} {setting} on {size} failed:\n{done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure what the arguments name and print it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure")
    parser.add_argument("folder", type=Path)
    for name in ("size", "side", "setting"):
        parser.add_argument(name)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    print("\n" + json.dumps(asdict(measure(**vars(given)))))


if __name__ == "__main__":
    main()
