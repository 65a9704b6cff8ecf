"""Samplers, the teacher and ranks killed at random while a run goes on: is anything lost, and does it end?

python -m benchmarks.chaos                       # 20 minutes of kills, then the run in hand goes on to its end
python -m benchmarks.chaos --minutes 2 --ranks 1 --seed 1

Two samplers and a teacher (``understudy serve``) and the ranks of the run, each a process of its own, each started
again some seconds after it was killed with SIGKILL, the run with ``--resume``. A run that ends while there is time left
is followed by another. Afterwards every run must have each step once, every attempt once, no token older than the
bound, a summary, and a last model that loads. Exits with 1 where one has not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from understudy.models.load import load_model
from understudy.training import metric_lines
from understudy.training.checkpoint import faults_of, folder_of, steps_of
from understudy.training.rollout_files import read

RECIPE = Path(__file__).parents[1] / "recipes" / "testbed-opd.yaml"
STUDENT, TEACHER = "testbed/multiplication-student", "testbed/multiplication-teacher"
PROMPTS, ATTEMPTS, STALENESS = 4, 2, 2
PATIENCE_SECONDS = 900.0


@dataclass
class Part:
    """A process that is started again when it has died.

    Args:
        name: for the log. command: first start. again: later starts. folder: of its log.
    Attributes:
        kills: how often it was killed. deaths: how often it ended badly by itself.
    """

    name: str
    command: Sequence[str]
    again: Sequence[str]
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    deaths: int = 0
    starts: int = 0
    due: float = 0.0
    was_killed: bool = False
    log: IO[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        if self.log is None:
            self.log = (self.folder / f"{self.name}.log").open("ab")
        command = self.again if self.starts else self.command
        self.starts, self.was_killed = self.starts + 1, False
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True)

    @property
    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def victims(self) -> list[int]:
        """The processes that may be killed: the workers of a launcher, or the process itself."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children] if self.name == "ranks" and children else [self.process.pid]

    def kill(self, draws: random.Random) -> None:
        os.kill(draws.choice(self.victims()), signal.SIGKILL)
        self.kills, self.was_killed = self.kills + 1, True

    def end(self) -> None:
        if self.is_alive and self.process is not None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server(name: str, model: str, folder: Path, *options: str) -> tuple[Part, str]:
    port = free_port()
    command = [sys.executable, "-m", "understudy", "serve", model, "--port", str(port), "--threads", "1", *options]
    return Part(name, command, command, folder), f"http://127.0.0.1:{port}"


def ranks(number: int, chosen: argparse.Namespace, folder: Path, samplers: Sequence[str], teacher: str) -> Part:
    """The run of that number."""
    # Ranks of a cluster draw every step with the newest weights.
    overlap = f"{{max_staleness: {STALENESS}, steps_ahead: 1, segment_tokens: 24}}" if chosen.ranks == 1 else "{}"
    overrides = [
        f"name=run-{number}",
        f"output={folder}",
        f"seed={number}",
        f"steps={chosen.steps}",
        f"teacher={{server: {teacher}, deadline_seconds: 600.0}}",
        "reference=null",
        f"rollout={{prompts_per_step: {PROMPTS}, num_generations: {ATTEMPTS}, max_completion_length: 72}}",
        f"rollout.server={{urls: [{', '.join(samplers)}], deadline_seconds: 600.0}}",
        f"rollout.overlap={overlap}",
        "evaluation={suites: [], teacher: false}",
        "checkpoint={every: 2, keep_last: 2}",
    ]
    if chosen.lora:
        overrides.append("student.lora={rank: 4}")
    begin = [sys.executable, "-m", "understudy"]
    if chosen.ranks > 1:
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(chosen.ranks), "--master-port"]
        begin = [sys.executable, *launcher, str(free_port()), "-m", "understudy"]
        overrides.append("engine={kind: cluster, threads: 1, micro_batch_tokens: 1024}")
    command = [*begin, "train", str(RECIPE), *overrides]
    return Part("ranks", command, [*command, "--resume"], folder)


def tend(parts: Sequence[Part], draws: random.Random, say: Say) -> None:
    """Start again what has died, some seconds after."""
    for part in parts:
        if part.is_alive or part.process is None:
            continue
        if part.name == "ranks" and part.process.poll() == 0:
            continue
        if part.due == 0.0:
            part.due = time.monotonic() + draws.uniform(0.5, 4.0)
            if not part.was_killed:
                part.deaths += 1
                say(f"{part.name} ended by itself with {part.process.poll()}")
        elif time.monotonic() >= part.due:
            part.due = 0.0
            part.start()


class Say:
    """Lines with the seconds since the start, on the terminal and in a file."""

    def __init__(self, file: Path) -> None:
        self._began, self._file = time.monotonic(), file.open("a")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def __call__(self, text: str) -> None:
        line = f"{self.seconds:7.1f} s  {text}"
        print(line, flush=True)
        print(line, file=self._file, flush=True)


def done(run: Path) -> int:
    file = run / "metrics.jsonl"
    return len(metric_lines.read(file)) if file.exists() else 0


def faults(run: Path, *, steps: int) -> list[str]:
    """What is wrong with a run that has ended."""
    found = []
    lines = metric_lines.read(run / "metrics.jsonl")
    numbers = [metric_lines.step_of(line) for line in lines]
    if numbers != list(range(steps)):
        found.append(f"steps {numbers}, not 0 to {steps - 1} once each")
    rollouts = [rollout for file in sorted((run / "rollouts").glob("*.parquet")) for rollout in read(file)]
    if len(rollouts) != steps * PROMPTS * ATTEMPTS:
        found.append(f"{len(rollouts)} attempts, not {steps * PROMPTS * ATTEMPTS}")
    if any(count % ATTEMPTS for count in Counter(rollout.problem for rollout in rollouts).values()):
        found.append("a group that is not whole")
    oldest = max(line.get("staleness/max") or 0.0 for line in lines)
    if oldest > STALENESS:
        found.append(f"tokens {oldest:g} versions old, more than {STALENESS}")
    last = folder_of(run / "checkpoints", steps_of(run / "checkpoints")[-1])
    if (fault := faults_of(last)) is not None:
        found.append(f"{last.name}: {fault}")
    if (last / "model").is_dir():
        load_model(last / "model")
    if not (run / "summary.json").exists():
        found.append("no summary")
    return found


def trouble(chosen: argparse.Namespace, folder: Path, say: Say) -> list[Path]:
    """Kill and start again until the time is over and the run in hand has ended; the runs."""
    draws = random.Random(chosen.seed)
    options = ("--allow-updates",)
    one, first = server("sampler-1", STUDENT, folder, *options)
    two, second = server("sampler-2", STUDENT, folder, *options)
    teacher, address = server("teacher", TEACHER, folder, "--max-logprobs", "-1")
    servers = [one, two, teacher]
    for part in servers:
        part.start()
    runs: list[Path] = []
    run: Part | None = None
    next_kill, until = chosen.first, chosen.minutes * 60
    kills: Counter[str] = Counter()
    try:
        while True:
            if run is None or (run.process is not None and run.process.poll() == 0):
                if run is not None:
                    kills[run.name] += run.kills
                    say(f"run {len(runs)} has ended, {run.starts} starts, {run.kills} kills, {run.deaths} bad ends")
                if say.seconds >= until:
                    break
                runs.append(folder / f"run-{len(runs) + 1}")
                run = ranks(len(runs), chosen, folder, [first, second], address)
                run.start()
            parts = [*servers, run]
            if say.seconds < until and say.seconds >= next_kill:
                alive = [part for part in parts if part.is_alive]
                if alive:
                    part = draws.choice(alive)
                    part.kill(draws)
                    say(f"killed {part.name} at step {done(runs[-1])} of run {len(runs)}")
                next_kill = say.seconds + draws.uniform(*chosen.every)
            if say.seconds >= until + PATIENCE_SECONDS:
                say("the run has not ended in time")
                break
            tend(parts, draws, say)
            time.sleep(0.2)
    finally:
        for part in [*servers, *([] if run is None else [run])]:
            part.end()
    for part in servers:
        kills[part.name] += part.kills
    say(f"kills: {', '.join(f'{name} {count}' for name, count in sorted(kills.items()))}")
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--steps", type=int, default=60, help="of a run")
    parser.add_argument("--ranks", type=int, default=2, help="1 is the local engine")
    parser.add_argument("--lora", action="store_true", help="train and give servers an adapter")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=float, default=60.0, help="seconds before the first kill")
    parser.add_argument("--every", type=float, nargs=2, default=(15.0, 60.0), help="seconds between kills")
    parser.add_argument("--folder", type=Path, help="kept; the default is a temporary one")
    chosen = parser.parse_args(arguments)
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="understudy-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    say = Say(folder / "chaos.log")
    say(f"in {folder}")
    wrong = 0
    for run in trouble(chosen, folder, say):
        found = faults(run, steps=chosen.steps)
        wrong += bool(found)
        say(f"{run.name}: {'; '.join(found) or f'{chosen.steps} steps and every attempt once, the last model loads'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
