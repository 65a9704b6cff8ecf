"""Phase seconds of small runs beside those that ``understudy plan``'s cost model predicts.

    python -m benchmarks.scale measure runs.jsonl      # minutes; goes on where it was stopped
    python -m benchmarks.scale table runs.jsonl        # constants of this machine, then predicted / measured = ratio

Processor seconds of one thread, each run in a process of its own, median of the steps after the first.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import lsq_linear

from understudy.scaling import Architecture, Cost, Hardware, Model, Pace, Workload, architecture_from
from understudy.scaling.costs import sampling, scoring, update


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


PHASES = {
    "sampling": ("sample",),
    "scoring": ("teacher",),
    "updating": ("forward", "loss", "backward", "optimizer"),
}
"""Our phases, and those of the stopwatch that each is made of."""


def architecture(shape: tuple[int, int], vocab_size: int) -> Architecture:
    """What ``write_workload`` makes of a shape."""
    width, layers = shape
    config = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "intermediate_size": 3 * width,
        "num_attention_heads": width // 32,
        "num_key_value_heads": width // 64,
        "head_dim": 32,
        "vocab_size": vocab_size,
        "tie_word_embeddings": True,
    }
    return architecture_from(config, name="random", source="the benchmark")


def costs_of(run: Run, rates: Mapping[str, float], paces: Mapping[str, Pace]) -> dict[str, Cost]:
    """Every phase of a run on a machine of these rates."""
    device = Hardware(
        name="this CPU",
        bfloat16_flops=rates["bfloat16_gflops"] * 1e9,
        float32_flops=rates["float32_gflops"] * 1e9,
        memory_bytes=8e9,
        memory_rate=rates["copy_gb_per_second"] * 1e9,
        devices_per_machine=1,
        link_rate=1e9,
        network_rate=1e9,
        source="measured",
        **paces,
    )
    work = Workload(
        prompts=run.prompts,
        generations=run.generations,
        prompt_tokens=run.prompt,
        completion_tokens=run.completion,
        full_vocabulary=run.method == "gkd",
    )
    student, teacher = architecture(run.student, run.vocab_size), architecture(run.teacher, run.vocab_size)
    model = Model(student, teacher, work, device)
    return {
        "sampling": sampling(model, replicas=1),
        "scoring": scoring(model, of=teacher, replicas=1),
        "updating": update(model, ranks=1),
    }


def rates_of(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The machine's rates: medians over the runs, each of which measured them at its beginning."""
    return {name: statistics.median(one["limits"][name] for one in found) for name in found[0]["limits"]}


def fit(file: Path) -> dict[str, Pace]:
    """The constants that come nearest to the runs for fitting, by least squares of relative errors."""
    found = read(file)
    rates = rates_of(list(found.values()))
    unit = dict.fromkeys(PHASES, Pace(1.0, 1.0, 1.0))
    paces = {}
    for phase, parts in PHASES.items():
        rows, seconds = [], []
        for run in (one for one in RUNS if one.is_fitted):
            spent = costs_of(run, rates, unit)[phase].parts
            rows.append([max(spent["products"], spent["weight reads"]), spent["other memory"], spent["calls"]])
            seconds.append(sum(found[run.name]["seconds"][part] for part in parts))
        matrix, aim = np.array(rows), np.array(seconds)
        # Nothing runs faster than the rates that were measured for it, and no call takes less than no time.
        factors = lsq_linear(matrix / aim[:, None], np.ones(len(aim)), bounds=([1, 1, 0], np.inf)).x
        paces[phase] = Pace(1 / factors[0], 1 / factors[1], float(factors[2]))
    return paces


def table(file: Path) -> None:
    """Markdown: predicted and measured seconds of every run that was not fitted, and their ratios."""
    found = read(file)
    rates, paces = rates_of(list(found.values())), fit(file)
    print(f"rates: {rates}")
    for phase, pace in paces.items():
        print(
            f"{phase}: products {pace.products:.3f}, traffic {pace.traffic:.3f}, calls {pace.call_seconds * 1e3:.3f} ms"
        )
    print("| run | sampling | teacher score | update | all three |")
    print("|---|---|---|---|---|")
    errors = []
    for run in (one for one in RUNS if one.name in found):
        costs, measured = costs_of(run, rates, paces), found[run.name]["seconds"]
        pairs = [(costs[phase].seconds, sum(measured[part] for part in parts)) for phase, parts in PHASES.items()]
        pairs.append((sum(one for one, _ in pairs), sum(other for _, other in pairs)))
        cells = [f"{one:.2f} / {other:.2f} = {one / other:.2f}" for one, other in pairs]
        print(f"| {run.name}{' (fitted)' if run.is_fitted else ''} | {' | '.join(cells)} |")
        if not run.is_fitted:
            errors += [math.log(one / other) for one, other in pairs[:3]]
    print(f"geometric mean of the ratios' distances from 1: {math.exp(statistics.mean(map(abs, errors))):.2f}")


def read(file: Path) -> dict[str, Any]:
    """What was measured, by the run's name."""
    return {(one := json.loads(line))["name"]: one for line in file.read_text().splitlines()}


if __name__ == "__main__":
    verb, argument = sys.argv[1:]
    {"measure": measure, "one": measure_one, "table": table}[verb](  # type: ignore[operator]
        argument if verb == "one" else Path(argument)
    )
