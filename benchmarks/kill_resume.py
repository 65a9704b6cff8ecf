"""Kill -9 at random moments of a run, then ``--resume``: do metrics and weights equal those of an uninterrupted run?

    python -m benchmarks.kill_resume                    # ten kills of recipes/testbed-opd.yaml steps=12
    python -m benchmarks.kill_resume tiny.yaml --kills 3 --seed 1

Made to be run by hand; the suite has a smaller one, ``tests/test_kill.py``.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file

from understudy.training import metric_lines
from understudy.training.checkpoint import folder_of, steps_of
from understudy.training.metrics import is_time

HEADING = f"{'kill':>4}  {'after':>8}  {'steps done':>10}  {'resumed from':>12}  metrics  weights"


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it.

    Args:
        seconds: from the start of the process to the kill. steps: lines of metrics then; resumed: step of the
            checkpoint that was gone on with. is_killed: false where the run had ended by itself before.
        same_metrics, same_weights: whether they equal those of the uninterrupted run, bit for bit.
    """

    seconds: float
    steps: int
    resumed: int
    is_killed: bool
    same_metrics: bool
    same_weights: bool


def command_of(arguments: Sequence[str], *, output: Path, name: str) -> list[str]:
    return [sys.executable, "-m", "understudy", "train", *arguments, f"name={name}", f"output={output}"]


def metrics_of(run: Path) -> list[dict[str, float | None]]:
    """All lines without the figures that depend on the clock."""
    lines = metric_lines.read(run / "metrics.jsonl")
    return [{name: value for name, value in line.items() if not is_time(name)} for line in lines]


def same_weights(one: Path, other: Path) -> bool:
    """Whether the last checkpoints of two runs hold the same models and the same state of the optimiser."""
    folders = [folder_of(run / "checkpoints", steps_of(run / "checkpoints")[-1]) for run in (one, other)]
    names = [sorted(str(file.relative_to(f)) for file in f.rglob("*.safetensors")) for f in folders]
    return names[0] == names[1] and all(_equal(folders[0] / name, folders[1] / name) for name in names[0])


def _equal(one: Path, other: Path) -> bool:
    ours, theirs = load_file(one), load_file(other)
    return ours.keys() == theirs.keys() and all(ours[name].equal(theirs[name]) for name in ours)


def kill_and_resume(arguments: Sequence[str], *, peaceful: Path, output: Path, name: str, after: float) -> Kill:
    """Start the run ``name``, kill it ``after`` seconds, resume it, compare it with the ``peaceful`` one."""
    command, run = command_of(arguments, output=output, name=name), output / name
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    steps, saved = len(metrics_of(run)), steps_of(run / "checkpoints")
    _run([*command, "--resume"])
    return Kill(
        seconds=after,
        steps=steps,
        resumed=saved[-1] if saved else 0,
        is_killed=process.returncode == -9,
        same_metrics=metrics_of(run) == metrics_of(peaceful),
        same_weights=same_weights(run, peaceful),
    )


def _run(command: Sequence[str]) -> None:
    ended = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if ended.returncode:
        sys.exit(f"{' '.join(command)}\nended with status {ended.returncode}:\n{ended.stderr[-2000:]}")


def line_of(number: int, kill: Kill) -> str:
    verdicts = ("same" if kill.same_metrics else "OTHER", "same" if kill.same_weights else "OTHER")
    note = "" if kill.is_killed else "  (had ended by itself)"
    where = f"{kill.seconds:>6.1f} s  {kill.steps:>10}  {kill.resumed:>12}"
    return f"{number:>4}  {where}  {verdicts[0]:<7}  {verdicts[1]}{note}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="recipes/testbed-opd.yaml")
    parser.add_argument("overrides", nargs="*", default=["steps=12"])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    arguments = [options.recipe, *options.overrides]
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as folder:
        output = Path(folder)
        once = ["steps=1", "evaluation.suites=[]"]
        _run(command_of([*arguments, *once], output=output, name="once"))  # makes what is made on first use
        started = time.perf_counter()
        _run(command_of(arguments, output=output, name="peaceful"))
        seconds = time.perf_counter() - started
        print(f"understudy train {' '.join(arguments)}: {seconds:.0f} s without a kill\n{HEADING}", flush=True)
        kills: list[Kill] = []
        number = 0
        while len(kills) < options.kills:
            number += 1
            name = "cut" if number == 1 else f"cut-{number}"
            after = moments.uniform(0, seconds)
            kill = kill_and_resume(arguments, peaceful=output / "peaceful", output=output, name=name, after=after)
            print(line_of(number, kill), flush=True)
            if kill.is_killed:
                kills.append(kill)
            else:
                seconds = after  # the machine is quicker now; only runs that were cut count
    good = sum(kill.same_metrics and kill.same_weights for kill in kills)
    print(f"{good} of {len(kills)} equal the uninterrupted run")
    return 0 if good == len(kills) else 1


if __name__ == "__main__":
    sys.exit(main())
