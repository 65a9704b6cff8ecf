"""``understudy bench agents``: the same start, games and budget for everybody, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from understudy.bench.agents.contenders import AgentContender
from understudy.bench.agents.examining import Games
from understudy.bench.agents.house import HOUSE, Definition, House, Scale
from understudy.bench.agents.jobs import AgentMeasuring, AgentTraining
from understudy.bench.agents.outcome import Outcome, write_outcome
from understudy.bench.agents.recipes import recipe_of
from understudy.bench.agents.results import AgentResult
from understudy.bench.crew import work
from understudy.bench.folder import BenchFolder, open_folder
from understudy.bench.methods import TUNING_SEED
from understudy.bench.preparing import identity_of, make_models
from understudy.bench.rates import best_rate, is_at_edge, stored_rates, write_rates
from understudy.bench.results import read_record
from understudy.bench.timing import Ticker
from understudy.errors import RunDirectoryError
from understudy.preview import preview
from understudy.recipe import recipe_from
from understudy.training.progress import Display

KIND = "understudy bench agents"
START = "vanilla"
"""The label of the student before any training."""


@dataclass(frozen=True)
class Order:
    """What is to be compared.

    Args:
        contenders: who takes part. tuned: choose each one's learning rate from the house's grid first, else the
            stored ones. scale: of the runs. out: folder. processes: side by side. command: as it was given.
    """

    contenders: Sequence[AgentContender]
    tuned: bool = False
    scale: Scale = field(default_factory=Scale)
    out: Path = Path("runs/bench-agents")
    processes: int = 2
    command: str = KIND
    house: House = field(default_factory=lambda: HOUSE)


@dataclass(frozen=True)
class _Bench:
    order: Order
    folder: BenchFolder
    display: Display

    def recipe(self, contender: AgentContender, *, seed: int, rate: float, name: str = "") -> dict[str, object]:
        run = self.folder.runs / (name or f"{contender.name}-seed{seed}")
        steps = self.order.scale.steps
        return recipe_of(self.order.house, contender, steps=steps, seed=seed, learning_rate=rate, folder=run)

    def training(
        self, contender: AgentContender, recipe: Mapping[str, object], games: Games, file: Path
    ) -> AgentTraining:
        order = self.order
        return AgentTraining(contender.name, contender.teacher, recipe, order.house, order.scale, games, file)


def compare_agents(order: Order, *, display: Display) -> Outcome:
    """Run what has not been run yet, and write tables, page and raw figures into the folder.

    Raises:
        UserMistakeError: a recipe that cannot run; a folder of another bench.
        InterruptedBenchError: a signal came; what is finished is kept.
    """
    house, scale = order.house, order.scale
    models = {START: house.student, **house.teachers}
    definition = Definition(
        house=house,
        rates="tuned" if order.tuned else "stored",
        steps=scale.steps,
        games=scale.games,
        validation_games=scale.validation_games,
        validate_every=scale.validate_every,
        rollouts_every=scale.rollouts_every,
        models={name: identity_of(model) for name, model in models.items()},
    )
    bench = _Bench(order, BenchFolder(order.out), display)
    for contender in order.contenders:
        recipe = bench.recipe(contender, seed=0, rate=house.learning_rate)
        preview(recipe_from(recipe, source=contender.name))
    open_folder(order.out, definition, kind=KIND)
    make_models(list(models.values()), display)
    rates, notes = _rates(bench)
    measured = _measured(bench, models)
    runs = _trained(bench, rates)
    outcome = Outcome(definition, order.command, runs, measured, notes)
    write_outcome(outcome, order.out)
    return outcome


def _rates(bench: _Bench) -> tuple[dict[str, float], dict[str, str]]:
    """Each contender's learning rate, and what is to be said of it."""
    house, names = bench.order.house, [contender.name for contender in bench.order.contenders]
    if not bench.order.tuned:
        stored = stored_rates().get(house.name)
        known = {} if stored is None else stored.rates
        notes = {name: "no stored rate" for name in names if name not in known}
        return {name: known.get(name, house.learning_rate) for name in names}, notes
    scores = _tuned_scores(bench)
    rates = {name: best_rate(found) for name, found in scores.items()}
    how = (
        f"{bench.order.command}; validation split, {bench.order.scale.validation_games} games, "
        f"{bench.order.scale.steps} steps, seed {TUNING_SEED}"
    )
    write_rates(bench.folder.path / "rates.yaml", how=how, setting=house.name, rates=rates)
    edges = {name: "best rate at the grid's edge" for name, rate in rates.items() if is_at_edge(rate, house.rates)}
    return rates, edges


def _tuned_scores(bench: _Bench) -> dict[str, dict[float, float]]:
    """Success on the validation games after a run of each rate, by contender."""
    games = Games("validation", bench.order.scale.validation_games)
    jobs: dict[tuple[str, float], AgentTraining] = {}
    for contender in bench.order.contenders:
        for rate in bench.order.house.rates:
            recipe = bench.recipe(contender, seed=TUNING_SEED, rate=rate, name=f"{contender.name}-rate{rate:g}")
            file = bench.folder.tuning_file(contender.name, rate=rate)
            jobs[contender.name, rate] = bench.training(contender, recipe, games, file)
    _do(bench, list(jobs.values()), what="rates")
    scores: dict[str, dict[float, float]] = {}
    for (name, rate), job in jobs.items():
        found = _read(job)
        scores.setdefault(name, {})[rate] = -1.0 if found.final is None else found.final.success
    return scores


def _measured(bench: _Bench, models: Mapping[str, str]) -> dict[str, list[AgentResult]]:
    order = bench.order
    games = Games("eval", order.scale.games)
    jobs = {
        label: [
            AgentMeasuring(label, model, seed, order.house, games, bench.folder.result_file(label, seed=seed))
            for seed in range(order.scale.seeds)
        ]
        for label, model in models.items()
    }
    _do(bench, [job for found in jobs.values() for job in found], what="measured")
    return {label: [_read(job) for job in found] for label, found in jobs.items()}


def _trained(bench: _Bench, rates: Mapping[str, float]) -> dict[str, list[AgentResult]]:
    order = bench.order
    games = Games("eval", order.scale.games)
    jobs: dict[str, list[AgentTraining]] = {contender.name: [] for contender in order.contenders}
    for seed in range(order.scale.seeds):
        for contender in order.contenders:
            recipe = bench.recipe(contender, seed=seed, rate=rates[contender.name])
            file = bench.folder.result_file(contender.name, seed=seed)
            jobs[contender.name].append(bench.training(contender, recipe, games, file))
    # All contenders' first seeds first: a comparison that is cut short compares like with like.
    _do(bench, [job for group in zip(*jobs.values(), strict=True) for job in group], what="runs")
    return {label: [_read(job) for job in found] for label, found in jobs.items()}


def _do(bench: _Bench, jobs: Sequence[AgentTraining | AgentMeasuring], *, what: str) -> None:
    """Do the jobs whose results are not there yet."""
    left = [job for job in jobs if not _is_kept(job)]
    ticker = Ticker(what, kept=len(jobs) - len(left), total=len(jobs), notice=bench.display.notice)
    for job in work(left, processes=bench.order.processes):
        ticker.done(line_of(_read(job)))


def _is_kept(job: AgentTraining | AgentMeasuring) -> bool:
    """Whether a job's result is there; raises RunDirectoryError where it is another recipe's."""
    found = read_record(job.file, AgentResult)
    if found is not None and isinstance(job, AgentTraining) and found.recipe != job.recipe:
        raise RunDirectoryError(
            f"{job.file} was made by another recipe than the one that would be run now",
            remedy="Choose another folder with --out, or delete the file to make its run again.",
        )
    return found is not None


def line_of(result: AgentResult) -> str:
    """A finished job in one line."""
    head = f"{result.label} seed {result.seed}"
    if result.final is None:
        return f"{head}: diverged"
    shown = f"{head}: {100 * result.final.success:.1f} % won in {result.final.length:.1f} turns"
    return shown + (f", {result.seconds:.0f} s of steps" if result.recipe else "")


def _read(job: AgentTraining | AgentMeasuring) -> AgentResult:
    found = read_record(job.file, AgentResult)
    assert found is not None, "the job was done"
    return found
