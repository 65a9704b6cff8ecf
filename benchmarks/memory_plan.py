"""The memory plan against what a run took: `python -m benchmarks.memory_plan`, a process each, on a CPU."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from understudy.bench.speed.ours import recipe_of
from understudy.bench.speed.resident import forget_peak_memory, peak_memory
from understudy.bench.speed.workload import SIZES, write_workload
from understudy.build import assemble
from understudy.build.memory_plan import MemoryPlan, memory_plan
from understudy.build.settling import resident
from understudy.objectives.methods import objective_of
from understudy.recipe import Recipe
from understudy.training.clock import Clock
from understudy.training.step import run_step

STEPS = 2
CASES = {
    "S": ("S", "opd-float32", {}),
    "S bfloat16": ("S", "opd-bfloat16", {}),
    "S gkd": ("S", "gkd-float32", {}),
    "S checkpointing": ("S", "opd-float32", {"engine": {"activation_checkpointing": "on"}}),
    "S 1024 tokens": ("S", "opd-float32", {"engine": {"micro_batch_tokens": 1024}}),
    "B32": ("B32", "opd-float32", {}),
    "M": ("M", "opd-float32", {}),
    "B32 gkd": ("B32", "gkd-float32", {}),
    "B32 int8 states": ("B32", "opd-float32", {"optimizer": {"states": "int8"}}),
}


def measure(case: str) -> tuple[float, float]:
    """MiB planned, and taken above what the process held before, after a small run of the same kind."""
    size, setting, changes = CASES[case]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in dict.fromkeys(("mini", size)):
            write_workload(folder / one, SIZES[one])
        _run(_recipe(folder / "mini", "mini", setting, changes))
        held = forget_peak_memory()
        plan = _run(_recipe(folder / size, size, setting, changes))
        return plan.peak / 2**20, peak_memory() - held


def _recipe(folder: Path, size: str, setting: str, changes: dict[str, dict[str, object]]) -> Recipe:
    recipe = recipe_of(folder, SIZES[size], setting, steps=STEPS, threads=1)
    sections = {name: getattr(recipe, name).model_copy(update=fields) for name, fields in changes.items()}
    return recipe.model_copy(update=sections)


def _run(recipe: Recipe) -> MemoryPlan:
    """Two steps, and the plan of the run."""
    assembly = assemble(recipe)
    step_once = partial(run_step, assembly.parts, clock=Clock(), progress=lambda _: None)
    prompts = [result.batch.contexts for result in map(step_once, range(STEPS))]
    longest = max(context.ids.numel() for contexts in prompts for context in contexts)
    teacher = assembly.parts.scorers["teacher"]
    return memory_plan(
        recipe,
        [resident("student", assembly.policy.loaded), resident("teacher", teacher.loaded)],  # type: ignore[attr-defined]
        objective_of(recipe.objective),
        prompt_tokens=longest - recipe.rollout.max_completion_length,
        checkpointing=recipe.engine.activation_checkpointing == "on",
    )


def measure_apart(case: str) -> tuple[float, float]:
    """``measure`` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory_plan", "--case", case]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    planned, taken = json.loads(done.stdout.splitlines()[-1])
    return planned, taken


def main() -> None:
    """Print a table of all cases, or one case's figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory_plan")
    parser.add_argument("--case", choices=CASES)
    given = parser.parse_args()
    if given.case is not None:
        print("\n" + json.dumps(measure(given.case)))
        return
    print("| case | planned MiB | taken MiB | planned / taken |\n|---|---|---|---|")
    for case in CASES:
        planned, taken = measure_apart(case)
        print(f"| {case} | {planned:,.0f} | {taken:,.0f} | {planned / taken:.2f} |", flush=True)


if __name__ == "__main__":
    main()
