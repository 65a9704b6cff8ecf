"""What planning costs: its share of whole steps of 8,192 rows, with k = 64 where a method takes a top-k.

python -m benchmarks.planning                       # every method below, three steps each
python -m benchmarks.planning --methods tropd --steps 5
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from understudy.bench.speed.workload import LEARNING_RATE, SIZES, Size, write_workload
from understudy.build import assemble
from understudy.recipe import Recipe, recipe_from
from understudy.training.clock import Clock
from understudy.training.step import run_step

ROWS, TOP_K = 8192, 64
METHODS = ("opd", "entropy_opd", "reopold", "aopd", "tropd", "eopd", "local_support", "topk_fkl", "rethinking", "gkd")
BOUND = 0.03
"""Share of a step that planning may take."""


@dataclass(frozen=True)
class Share:
    """Medians over the steps of one method.

    Args:
        method: its name. rows: scored tokens of a step. plan, step: seconds.
    """

    method: str
    rows: int
    plan: float
    step: float

    @property
    def share(self) -> float:
        """Of the step that planning takes."""
        return self.plan / self.step


def size_of(rows: int, *, base: Size = SIZES["S"]) -> Size:
    """The smallest of the benchmarks' workloads, with so many completion tokens a step."""
    return replace(base, batch=rows // base.completion_length)


def measure(folder: Path, size: Size, method: str, *, top_k: int, steps: int, threads: int) -> Share:
    """Time ``steps`` steps after one that is thrown away."""
    parts = assemble(recipe_of(folder, size, method, top_k=top_k, steps=1 + steps, threads=threads)).parts
    plans, totals, rows = [], [], 0
    step_once = partial(run_step, parts, progress=lambda _: None)
    for step in range(1 + steps):
        clock = Clock()
        result = step_once(step, clock=clock)
        plans.append(clock.seconds["plan"])
        totals.append(sum(clock.seconds.values()))
        rows = result.batch.table.num_tokens
    return Share(method, rows, statistics.median(plans[1:]), statistics.median(totals[1:]))


def recipe_of(folder: Path, size: Size, method: str, *, top_k: int, steps: int, threads: int) -> Recipe:
    """The method on the student's own answers alone, with this k where it has one."""
    recipe = {
        "student": {"model": str(folder / "student")},
        "teacher": {"model": str(folder / "teacher")},
        "reference": "initial",
        "data": {"dataset": str(folder / "prompts.jsonl")},
        "rollout": {
            "prompts_per_step": size.batch,
            "num_generations": 1,
            "max_completion_length": size.completion_length,
        },
        "objective": {"method": method},
        "optimizer": {"learning_rate": LEARNING_RATE},
        "steps": steps,
        "engine": {"threads": threads, "device": "cpu"},
    }
    fields = type(recipe_from(recipe).objective).model_fields
    own = {name: value for name, value in {"top_k": top_k, "guidance": False, "lmbda": 1.0}.items() if name in fields}
    return recipe_from({**recipe, "objective": {"method": method, **own}})


def main() -> None:
    """Measure and print a table; exit status 1 where planning takes more than its share."""
    given = _arguments()
    torch.set_num_threads(given.threads)
    disable_progress_bar()
    size = size_of(given.rows)
    print("| method | rows | planning, ms | step, s | share |\n|---|---|---|---|---|", flush=True)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        write_workload(Path(folder), size)
        for method in given.methods:
            one = measure(Path(folder), size, method, top_k=TOP_K, steps=given.steps, threads=given.threads)
            cells = f"{1000 * one.plan:.1f} | {one.step:.2f} | {100 * one.share:.2f} %"
            print(f"| `{one.method}` | {one.rows} | {cells} |", flush=True)
            found.append(one)
    sys.exit(any(one.share > BOUND for one in found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planning", description="Planning's share of a step.")
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--rows", type=int, default=ROWS, help="completion tokens of a step")
    parser.add_argument("--steps", type=int, default=3, help="measured, after one that is thrown away")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
