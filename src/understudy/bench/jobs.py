"""The pieces of work of a comparison; each leaves a file, and can be done in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from transformers.utils.logging import disable_progress_bar

from understudy.bench.examining import Exam, Examiner
from understudy.bench.results import Curves, RunResult, write_result
from understudy.build import Assembly, Keeping, assemble, examinee_of, model_named, sampler_of
from understudy.engines.local import LocalScorer
from understudy.errors import NonFiniteError
from understudy.objectives.methods import objective_of
from understudy.recipe import LocalEngine, Recipe, Reference, differences, recipe_from, to_yaml
from understudy.recipe.yaml_text import parse_yaml
from understudy.training import loop, metric_lines
from understudy.training.run_directory import RunDirectory, open_run
from understudy.training.step import Progress
from understudy.training.surroundings import describe

ENGINE = LocalEngine(threads=1, micro_batch_tokens=1024, device="cpu")
"""One thread a run: models this small gain nothing from a second one, and two runs share a machine."""


@dataclass(frozen=True)
class Probing:
    """Fresh answers on the way, for the curves.

    Args:
        every: steps between them. problems: answered each time.
    """

    every: int
    problems: int


@dataclass(frozen=True)
class Training:
    """Train by a recipe, then examine.

    Args:
        label: of the contender. recipe: plain values. exam: at the end. probing: on the way. file: of the result.
    """

    label: str
    recipe: Mapping[str, object]
    exam: Exam
    probing: Probing
    file: Path

    def do(self) -> int | None:
        """The signal that cut it short, None at its end; a run that was cut short goes on the next time.

        A loss that is not finite ends the run as well: its result says so, and has no figures.
        """
        recipe = recipe_from(self.recipe)
        try:
            result = _trained(self, recipe)
        except NonFiniteError as error:
            result = RunResult(label=self.label, seed=recipe.seed, recipe=self.recipe, domains={}, diverged=str(error))
        if isinstance(result, int):
            return result
        write_result(result, self.file)
        return None


@dataclass(frozen=True)
class Measuring:
    """Examine a model as it is.

    Args:
        label: its name in tables. model: a folder or ``testbed/...``. seed: of the answers.
        exam: what it answers. file: of the result.
    """

    label: str
    model: str
    seed: int
    exam: Exam
    file: Path

    def do(self) -> None:
        """Always brought to its end, or to none."""
        disable_progress_bar()
        torch.set_num_threads(1)
        loaded = model_named(self.model, ENGINE)
        scorer = LocalScorer(loaded, token_budget=ENGINE.micro_batch_tokens)
        examinee = examinee_of(loaded, sampler_of(loaded.model, loaded, ENGINE), scorer=scorer)
        performances = Examiner(self.exam, ENGINE).performances(examinee, seed=self.seed)
        parameters = {"student": loaded.model.num_parameters()}
        result = RunResult(label=self.label, seed=self.seed, recipe={}, domains=performances, parameters=parameters)
        write_result(result, self.file)


Job = Training | Measuring


def _trained(job: Training, recipe: Recipe) -> RunResult | int:
    disable_progress_bar()
    examiner = Examiner(job.exam, recipe.engine)
    with opened(recipe) as directory:
        assembly = assemble(recipe, keeping=Keeping(directory.path))
        outcome = loop.run(
            assembly.parts,
            _settings(recipe, job.probing),
            directory,
            evaluate=partial(_probe, assembly, examiner, job.probing, recipe.seed),
        )
        if outcome.signal is not None:
            return outcome.signal
        return RunResult(
            label=job.label,
            seed=recipe.seed,
            recipe=job.recipe,
            domains=examiner.performances(assembly.student, seed=recipe.seed),
            curves=_curves(directory),
            seconds=sum(column(directory.metrics, "step_time")),
            phases=_phases(directory.metrics),
            parameters=_parameters(assembly, recipe),
        )


def opened(recipe: Recipe) -> RunDirectory:
    """The folder of a run, made or opened again.

    Raises:
        RunDirectoryError: it holds a run of another recipe.
    """

    def differing(old: str, new: str) -> list[str]:
        return differences(*(recipe_from(parse_yaml(text, source="recipe.yaml")) for text in (old, new)))

    return open_run(
        recipe.run_directory,
        recipe=to_yaml(recipe),
        environment=describe(seed=recipe.seed),
        resume=recipe.run_directory.exists(),
        differences=differing,
    )


def _settings(recipe: Recipe, probing: Probing) -> loop.LoopSettings:
    return loop.LoopSettings(
        evaluate_every=probing.every,
        checkpoint_every=recipe.checkpoint.every,
        keep_last=1,
        rollouts_every=0,
    )


def _probe(
    assembly: Assembly, examiner: Examiner, probing: Probing, seed: int, step: int, progress: Progress
) -> dict[str, float]:
    progress(0)  # a signal may end the run here
    # Keyed by the step too, or every probe would draw the same numbers.
    found = examiner.probed(assembly.student, problems=probing.problems, seed=1000 * seed + step)
    figures = {"accuracy": found.accuracy, "length": found.length}
    figures |= {"reverse_kl": found.reverse_kl or 0.0, "entropy": found.entropy or 0.0}
    return {f"probe/{name}": value for name, value in figures.items()}


def _curves(directory: RunDirectory) -> Curves:
    file = directory.evaluation_figures
    probes = {name: column(file, f"probe/{name}") for name in ("entropy", "reverse_kl", "accuracy", "length")}
    steps = tuple(metric_lines.step_of(line) for line in metric_lines.read(file))
    lines = metric_lines.read(directory.metrics)
    return Curves(
        grad_norm=column(directory.metrics, "grad_norm"),
        own_entropy=tuple(line.get("entropy/sampled") for line in lines),
        probed=steps,
        **probes,
    )


def column(file: Path, name: str) -> tuple[float, ...]:
    """A figure over the lines of a file of metrics; 0 where a line has none."""
    return tuple(float(line.get(name) or 0.0) for line in metric_lines.read(file))


def _phases(file: Path) -> dict[str, float]:
    lines = metric_lines.read(file)
    names = {name: None for line in lines for name in line if name.startswith("time/")}
    return {name.removeprefix("time/"): fmean(line.get(name) or 0.0 for line in lines) for name in names}


def _parameters(assembly: Assembly, recipe: Recipe) -> dict[str, int]:
    """Of the models that took part; a reference that is the student's start is a second copy of it."""
    counts = {"student": sum(p.numel() for p in assembly.policy.model.parameters())}
    needed = objective_of(recipe.objective).needs.scorers()
    if isinstance(recipe.reference, Reference) and "reference" in needed:
        model = recipe.reference.model
        is_start = model == "initial"
        counts["reference"] = counts["student"] if is_start else model_named(model, ENGINE).model.num_parameters()
    return counts
