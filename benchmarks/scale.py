"""Phase seconds of small runs beside those that ``understudy plan``'s cost model predicts.

    python -m benchmarks.scale measure runs.jsonl      # minutes; goes on where it was stopped
    python -m benchmarks.scale fit runs.jsonl          # the constants of this machine, from the runs that are for it
    python -m benchmarks.scale table runs.jsonl        # predicted, measured, ratio: the runs that were not fitted

Processor seconds of one thread, each run in a process of its own, median of the steps after the first.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """A small run: models of Qwen3's architecture with random weights, every completion at its full length.

    Args:
        student, teacher: (width, layers). prompts, generations: a step. prompt, completion: tokens.
        is_fitted: the constants of the machine come from it; it is no test of them.
    """

    name: str
    student: tuple[int, int]
    teacher: tuple[int, int]
    vocab_size: int
    prompts: int
    generations: int
    prompt: int
    completion: int
    method: str = "opd"
    is_fitted: bool = False


RUNS = (
    Run("fit-a", (128, 4), (256, 8), 512, 8, 4, 32, 96, is_fitted=True),
    Run("fit-b", (256, 4), (384, 4), 32768, 8, 2, 48, 48, is_fitted=True),
    Run("fit-c", (320, 7), (640, 8), 4096, 8, 1, 48, 32, is_fitted=True),
    Run("many short", (128, 4), (256, 8), 512, 32, 1, 47, 64),
    Run("long, groups of 16", (128, 4), (256, 8), 512, 3, 16, 47, 192),
    Run("long prompts", (192, 6), (320, 6), 2048, 8, 2, 150, 64),
    Run("wide", (512, 4), (640, 6), 8192, 4, 4, 40, 48),
    Run("words", (128, 2), (128, 4), 65536, 8, 2, 40, 32),
    Run("deep", (256, 12), (384, 12), 1024, 6, 2, 40, 96),
    Run("tiny", (64, 2), (64, 3), 64, 48, 1, 16, 64),
    Run("whole vocabulary", (256, 4), (384, 6), 16384, 6, 2, 60, 64, method="gkd"),
)
_STEPS = 4


def measure(file: Path) -> None:
    """Measure the runs that the file lacks."""
    done = {json.loads(line)["name"] for line in file.read_text().splitlines()} if file.exists() else set()
    for run in RUNS:
        if run.name in done:
            continue
        command = [sys.executable, "-m", "benchmarks.scale", "one", run.name]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode:
            sys.exit(told.stderr)
        with file.open("a") as out:
            out.write(told.stdout.splitlines()[-1] + "\n")
        print(told.stdout.splitlines()[-1], flush=True)


def measure_one(name: str) -> None:
    """Measure one run in this process, with the machine's limits right before it; prints a line of JSON."""
    import torch

    from understudy.bench.speed.limits import measure as measure_limits
    from understudy.bench.speed.ours import recipe_of, time_recipe
    from understudy.bench.speed.phases import PHASES, Phases
    from understudy.bench.speed.workload import Size, write_workload

    (run,) = [one for one in RUNS if one.name == name]
    limits = measure_limits(1, "cpu")
    torch.set_num_threads(1)
    size = Size(
        run.student,
        run.teacher,
        run.vocab_size,
        batch=run.prompts,
        completion_length=run.completion,
        prompt_lengths=(run.prompt, run.prompt),
    )
    with tempfile.TemporaryDirectory() as place:
        write_workload(Path(place), size)
        recipe = recipe_of(Path(place), size, f"{run.method}-float32", steps=_STEPS, threads=1)
        rollout = recipe.rollout.model_copy(update={"num_generations": run.generations})
        phases = Phases(clock="cpu")
        tokens = time_recipe(recipe.model_copy(update={"rollout": rollout}), phases)
    seconds = {phase: statistics.median(step[phase] for step in phases.steps[1:]) for phase in (*PHASES, "total")}
    print(json.dumps({"name": name, "tokens": tokens[-1], "seconds": seconds, "limits": asdict(limits)}))


if __name__ == "__main__":
    verb, argument = sys.argv[1:]
    if verb == "measure":
        measure(Path(argument))
    elif verb == "one":
        measure_one(argument)
