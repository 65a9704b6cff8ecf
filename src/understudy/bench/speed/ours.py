"""A run of Understudy as ``understudy train`` makes it, timed by phase."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from understudy.bench.speed.phases import Phases
from understudy.bench.speed.settings import METHODS
from understudy.bench.speed.workload import LEARNING_RATE, Size
from understudy.build import assemble
from understudy.engines.local import LocalPolicy
from understudy.models.forward import backbone
from understudy.plans import LossPlan
from understudy.protocols import UpdateResult
from understudy.recipe import Recipe
from understudy.tokens import Batch
from understudy.training.clock import Clock
from understudy.training.step import run_step


def time_steps(folder: Path, size: Size, setting: str, *, steps: int, threads: int, phases: Phases) -> list[int]:
    """Run so many steps on a workload; returns the trained tokens of each."""
    return time_recipe(recipe_of(folder, size, setting, steps=steps, threads=threads), phases)


def time_recipe(recipe: Recipe, phases: Phases) -> list[int]:
    """Run the steps of a recipe with one teacher in this process; returns the trained tokens of each."""
    assembly = assemble(recipe)
    parts, policy = assembly.parts, assembly.policy
    teacher = parts.scorers["teacher"]
    teacher.score = phases.timed("teacher", teacher.score)  # type: ignore[method-assign]
    policy.score = phases.timed("student_score", policy.score)  # type: ignore[method-assign]
    object.__setattr__(parts, "collect", phases.timed("sample", parts.collect))
    phases.watch_module("loss", policy._loss_module)
    policy.update = _watched(policy, phases)  # type: ignore[method-assign, assignment]
    phases.watch_learning()
    step_once = partial(run_step, parts, clock=Clock(), progress=lambda _: None)
    tokens = []
    for step in range(recipe.steps):
        with phases.step():
            result = step_once(step)
        tokens.append(result.batch.table.num_tokens)
    return tokens


def _watched(policy: LocalPolicy, phases: Phases) -> Callable[[Batch, LossPlan], UpdateResult]:
    """The policy's update, the model watched while it lasts: a watched model would not take the fast decoding step."""
    update = policy.update

    def watched(batch: Batch, plan: LossPlan) -> UpdateResult:
        handles = phases.watch_module("forward", backbone(policy.model), only_training=True)
        try:
            return update(batch, plan)
        finally:
            for handle in handles:
                handle.remove()

    return watched


def recipe_of(folder: Path, size: Size, setting: str, *, steps: int, threads: int) -> Recipe:
    """The recipe of a setting such as ``opd-float32``; everything not named here is the default."""
    method, precision = setting.split("-")
    return Recipe.model_validate(
        {
            "student": {"model": str(folder / "student"), "dtype": precision},
            "teacher": {"model": str(folder / "teacher"), "dtype": precision},
            "data": {"dataset": str(folder / "prompts.jsonl")},
            "rollout": {
                "prompts_per_step": size.batch,
                "num_generations": 1,
                "max_completion_length": max(size.completion_length, size.golden_length),
            },
            "objective": dict(METHODS[method]),
            "optimizer": {"learning_rate": LEARNING_RATE},
            "steps": steps,
            "engine": {"threads": threads, "device": "cpu"},
        }
    )
