"""The pieces of work of a comparison of agents; each leaves a file, and can be done in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from understudy.bench.agents.examining import Games, Umpire
from understudy.bench.agents.house import House, Scale
from understudy.bench.agents.ratio import kept_ratios
from understudy.bench.agents.results import AgentResult, Course, Played
from understudy.bench.jobs import ENGINE, column, opened
from understudy.bench.results import write_result
from understudy.build import Assembly, Keeping, assemble, examinee_of, model_named, sampler_of
from understudy.engines.local import LocalScorer
from understudy.errors import NonFiniteError
from understudy.evaluation.examination import Examinee
from understudy.recipe import Recipe, recipe_from
from understudy.training import loop, metric_lines
from understudy.training.durable import refused_by_disk, write_json
from understudy.training.run_directory import RunDirectory
from understudy.training.step import Progress

BEST = "best"
"""Folder of a run with the model that won most validation games, and the file that says which it is."""


_PROBED = ("success", "turns", "invalid", "loops")


@dataclass(frozen=True)
class AgentTraining:
    """Train by a recipe, play validation games on the way, then unseen ones.

    Args:
        label: of the contender. teacher: its own, a key of the house's. recipe: plain values. games: at the end.
        file: of the result.
    """

    label: str
    teacher: str
    recipe: Mapping[str, object]
    house: House
    scale: Scale
    games: Games
    file: Path

    def do(self) -> int | None:
        """The signal that cut it short, None at its end; a run that was cut short goes on the next time."""
        recipe = recipe_from(self.recipe)
        try:
            result = _trained(self, recipe)
        except NonFiniteError as error:
            result = AgentResult(label=self.label, seed=recipe.seed, recipe=self.recipe, diverged=str(error))
        if isinstance(result, int):
            return result
        write_result(result, self.file)
        return None


@dataclass(frozen=True)
class AgentMeasuring:
    """Let a model play as it is.

    Args:
        label: its name in tables. model: a folder or ``testbed/...``. seed: of the attempts. file: of the result.
    """

    label: str
    model: str
    seed: int
    house: House
    games: Games
    file: Path

    def do(self) -> None:
        """Always brought to its end, or to none."""
        _quietly()
        played = Umpire(self.house).watch(_loaded(self.model), self.games, seed=self.seed)
        write_result(AgentResult(label=self.label, seed=self.seed, final=played), self.file)


def _trained(job: AgentTraining, recipe: Recipe) -> AgentResult | int:
    _quietly()
    umpire = Umpire(job.house)
    with opened(recipe) as directory:
        assembly = assemble(recipe, keeping=Keeping(directory.path))
        probe = _Probe(job, assembly, umpire, directory.path / BEST, recipe.seed)
        outcome = loop.run(assembly.parts, _settings(recipe, job.scale), directory, evaluate=probe)
        if outcome.signal is not None:
            return outcome.signal
        final = umpire.watch(assembly.student, job.games, seed=recipe.seed)
        step = probe.best_step
        best = final if step == recipe.steps else umpire.watch(_loaded(str(probe.model)), job.games, seed=recipe.seed)
        return AgentResult(
            label=job.label,
            seed=recipe.seed,
            recipe=job.recipe,
            teacher=job.teacher,
            final=final,
            best=best,
            best_step=step,
            course=_course(directory, recipe.steps),
            seconds=sum(column(directory.metrics, "step_time")),
        )


@dataclass(frozen=True)
class _Probe:
    """Plays the validation games with the present weights, and keeps the weights that won most of them."""

    job: AgentTraining
    assembly: Assembly
    umpire: Umpire
    folder: Path
    seed: int

    def __call__(self, step: int, progress: Progress) -> dict[str, float]:
        """Figures of the present weights."""
        progress(0)  # a signal may end the run here
        games = Games("validation", self.job.scale.validation_games)
        # Keyed by the step too, or every probe would draw the same numbers.
        played = self.umpire.watch(self.assembly.student, games, seed=1000 * self.seed + step)
        if step and played.success > self._best()[1]:
            self._keep(step, played)
        distance = played.reverse_kl.get(self.job.teacher)
        figures = {
            "success": played.success,
            "turns": played.length,
            "invalid": played.invalid_rate,
            "loops": played.loop_share,
        }
        figures |= {} if distance is None else {"reverse_kl": distance}
        return {f"probe/{name}": value for name, value in figures.items()}

    @property
    def model(self) -> Path:
        """Folder of the best weights."""
        return self.folder / "model"

    @property
    def best_step(self) -> int:
        """Steps that the best weights had done."""
        return self._best()[0]

    def _keep(self, step: int, played: Played) -> None:
        with refused_by_disk(self.folder):
            self.folder.mkdir(exist_ok=True)
            self.assembly.policy.save_model(self.folder)
        write_json(self.folder / "best.json", {"step": step, "success": played.success})

    def _best(self) -> tuple[int, float]:
        file = self.folder / "best.json"
        if not file.is_file():
            return 0, -1.0
        content = json.loads(file.read_text(encoding="utf-8"))
        return int(content["step"]), float(content["success"])


def _settings(recipe: Recipe, scale: Scale) -> loop.LoopSettings:
    keeps_halves = recipe.objective.method == "atod"
    return loop.LoopSettings(
        evaluate_every=scale.validate_every,
        checkpoint_every=recipe.checkpoint.every,
        keep_last=1,
        rollouts_every=scale.rollouts_every if keeps_halves else 0,
    )


def _loaded(model: str) -> Examinee:
    loaded = model_named(model, ENGINE)
    scorer = LocalScorer(loaded, token_budget=ENGINE.micro_batch_tokens)
    return examinee_of(loaded, sampler_of(loaded.model, loaded, ENGINE), scorer=scorer)


def _quietly() -> None:
    disable_progress_bar()
    torch.set_num_threads(1)


def _course(directory: RunDirectory, steps: int) -> Course:
    lines = metric_lines.read(directory.evaluation_figures)
    ratios = kept_ratios(directory.rollouts, steps=steps)
    probed = {name: column(directory.evaluation_figures, f"probe/{name}") for name in _PROBED}
    return Course(
        validated=tuple(metric_lines.step_of(line) for line in lines),
        reverse_kl=tuple(line.get("probe/reverse_kl") for line in lines),
        ratio_at=tuple(ratios),
        ratio=tuple(ratios.values()),
        **probed,
    )
