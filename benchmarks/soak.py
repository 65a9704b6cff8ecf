"""Two hours of training that is killed (SIGKILL) and resumed every few minutes: do memory, handles and numbers hold?

    python -m benchmarks.soak soak.jsonl                          # recipes/testbed-opd.yaml, 120 minutes
    python -m benchmarks.soak soak.jsonl --minutes 10 --between 30 60
    python -m benchmarks.soak soak.jsonl --table                  # what a file holds, finished or not

One JSON line a sample or kill is written as it happens. After each kill all lines of metrics that the process wrote
are remembered; the next must leave steps 0, 1, 2, ... without a gap or a double, each line that stood before must
stand there again with the same numbers (times aside), and at least one step must have been added.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from understudy.training import metric_lines
from understudy.training.checkpoint import steps_of
from understudy.training.metrics import is_time

SAMPLE_SECONDS = 10.0
OVERRIDES = (
    "steps=100000",
    "optimizer.schedule=constant",
    "optimizer.learning_rate=1.0e-5",  # two hours of steps at the recipe's own rate would wear the student out
    "evaluation.suites=[testbed/multiplication-greedy]",
    "evaluation.every=200",
    "rollout.prompts_per_step=4",  # many short steps: more writes for the same time
    "evaluation.teacher=false",
)


@dataclass(frozen=True)
class Sample:
    """What a training process holds at one moment.

    Args:
        life: number of the process, from 1. age: seconds since it began; at: since the soak began.
        resident, anonymous: bytes of memory, with and without files mapped into it. handles, threads: counts.
        disk: bytes of the run's folder. steps: lines of metrics.
    """

    life: int
    at: float
    age: float
    resident: int
    anonymous: int
    handles: int
    threads: int
    disk: int
    steps: int


@dataclass(frozen=True)
class Kill:
    """The end of a process, and whether what stood on the disk before it began stands there still.

    Args:
        life, at, age: as in ``Sample``. steps: lines of metrics after the kill; saved: step of the last checkpoint.
        faults: one sentence on each thing that is not as it should be.
    """

    life: int
    at: float
    age: float
    steps: int
    saved: int
    faults: tuple[str, ...] = ()


@dataclass
class Memory:
    """What the run had on the disk when it was last killed."""

    lines: list[dict[str, float | None]] = field(default_factory=list)


def status_of(pid: int) -> dict[str, int]:
    """Resident and anonymous bytes, and threads, as the kernel counts them."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    kilobytes = {name: int(fields[key].split()[0]) for name, key in (("resident", "VmRSS"), ("anonymous", "RssAnon"))}
    return {**{name: 1024 * value for name, value in kilobytes.items()}, "threads": int(fields["Threads"])}


def disk_of(folder: Path) -> int:
    """Bytes of all files below a folder in which files come and go."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).lstat().st_size
    return total


def faults_of(run: Path, memory: Memory) -> tuple[str, ...]:
    """What a killed process left that it should not have left, seen against what was there before it."""
    lines = [{name: value for name, value in line.items() if not is_time(name)} for line in _lines(run)]
    steps = [metric_lines.step_of(line) for line in lines]
    faults = []
    if steps != list(range(len(steps))):
        faults.append(f"the steps in metrics.jsonl are not 0, 1, 2, ...: {_first_gap(steps)}")
    again = [n for n, (new, old) in enumerate(zip(lines, memory.lines, strict=False)) if new != old]
    if again:
        faults.append(f"{len(again)} lines differ from those before the kill, first step {again[0]}")
    rollouts = sorted(int(file.stem[5:]) for file in (run / "rollouts").glob("step-*.parquet"))
    if rollouts and rollouts != list(range(rollouts[-1] + 1)):
        faults.append(f"the files of rollouts are not 0, 1, 2, ...: {_first_gap(rollouts)}")
    if len(rollouts) not in (len(lines), len(lines) + 1):  # a step's rollouts are written just before its line
        faults.append(f"{len(rollouts)} files of rollouts stand beside {len(lines)} lines of metrics")
    return tuple(faults)


def _lines(run: Path) -> list[dict[str, float | None]]:
    return metric_lines.read(run / "metrics.jsonl")


def _first_gap(steps: Sequence[int]) -> str:
    at = next((n for n, step in enumerate(steps) if n != step), len(steps))
    return f"step {steps[at]} stands in place {at}" if at < len(steps) else "none"


@dataclass
class Soak:
    """One run and its lives, with a file that everything is written to."""

    command: list[str]
    run: Path
    file: Path
    moments: random.Random
    began: float = field(default_factory=time.monotonic)
    memory: Memory = field(default_factory=Memory)

    @property
    def at(self) -> float:
        return time.monotonic() - self.began

    def note(self, kind: str, content: Mapping[str, Any]) -> None:
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"kind": kind, **content}) + "\n")

    def live(self, life: int, seconds: float) -> Kill:
        """Start or resume the run, sample it, kill it after so many seconds, and look at what it left."""
        born = time.monotonic()
        errors = self.file.with_suffix(".stderr")
        with errors.open("wb") as err:
            process = subprocess.Popen([*self.command, "--resume"], stdout=subprocess.DEVNULL, stderr=err)
        ended = None
        while ended is None and time.monotonic() - born < seconds:
            try:
                ended = process.wait(timeout=min(SAMPLE_SECONDS, max(0.1, seconds - (time.monotonic() - born))))
            except subprocess.TimeoutExpired:
                self._sample(process.pid, life, time.monotonic() - born)
        process.kill()
        process.wait()
        kill = self._kill(life, time.monotonic() - born)
        if ended is not None:
            said = errors.read_text(encoding="utf-8", errors="replace")[-500:]
            kill = Kill(**{**asdict(kill), "faults": (*kill.faults, f"it ended by itself with status {ended}: {said}")})
        self.note("kill", asdict(kill))
        return kill

    def _sample(self, pid: int, life: int, age: float) -> None:
        try:
            handles = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            status = status_of(pid)
        except (OSError, KeyError):  # it has just ended
            return
        steps = len(_lines(self.run))
        sample = Sample(life=life, at=self.at, age=age, handles=handles, disk=disk_of(self.run), steps=steps, **status)
        self.note("sample", asdict(sample))

    def _kill(self, life: int, age: float) -> Kill:
        faults = list(faults_of(self.run, self.memory))
        lines = _lines(self.run)
        before = len(self.memory.lines)
        saved = steps_of(self.run / "checkpoints")
        if len(lines) >= before:
            bare = [{name: value for name, value in line.items() if not is_time(name)} for line in lines]
            self.memory.lines = bare
        # A life that was too short to redo what was lost leaves fewer lines; the next one still must make them again.
        return Kill(life, self.at, age, len(lines), saved[-1] if saved else 0, tuple(faults))


def soak(options: argparse.Namespace) -> int:
    run = Path(options.output).resolve() / "soak"
    arguments = [options.recipe, *OVERRIDES, *options.overrides, "name=soak", f"output={run.parent}"]
    command = [sys.executable, "-m", "understudy", "train", *arguments]
    once = [*command, "name=once", "steps=1", "evaluation.before=false", "evaluation.after=false", "--resume"]
    subprocess.run(once, check=True, stdout=subprocess.DEVNULL)  # makes what is made on first use
    work = Soak(command, run, Path(options.file), random.Random(options.seed))
    work.note("start", {"command": arguments, "minutes": options.minutes, "seed": options.seed})
    life = 0
    while work.at < 60 * options.minutes:
        life += 1
        left = 60 * options.minutes - work.at
        kill = work.live(life, min(work.moments.uniform(*options.between), max(left, 1.0)))
        print(f"life {life}: {kill.age:.0f} s, {kill.steps} steps, {'; '.join(kill.faults) or 'good'}", flush=True)
    work.note("end", {"at": work.at})
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="JSON lines, added to")
    parser.add_argument("overrides", nargs="*", help="of the recipe")
    parser.add_argument("--recipe", default="recipes/testbed-opd.yaml")
    parser.add_argument("--output", default="soak-run", help="folder of the run")
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument(
        "--between", type=float, nargs=2, default=(120.0, 300.0), metavar=("FROM", "TO"), help="seconds"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="print what the file holds, and run nothing")
    options = parser.parse_args()
    if options.table:
        from benchmarks.soak_table import table_of

        print(table_of(Path(options.file)))
        return 0
    return soak(options)


if __name__ == "__main__":
    sys.exit(main())
