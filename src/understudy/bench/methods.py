"""``understudy bench methods``: the same start, data and budget for everybody, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.bench.contenders import Contender
from understudy.bench.crew import work
from understudy.bench.examining import Exam
from understudy.bench.folder import BenchFolder, kept_result, open_folder
from understudy.bench.jobs import Job, Measuring, Probing, Training
from understudy.bench.order import Order, contenders_of, setting_named
from understudy.bench.outcome import Outcome, write_outcome
from understudy.bench.plan import Definition, recipe_of
from understudy.bench.preparing import average, identity_of, make_models, models_of, tell
from understudy.bench.rates import best_rate, is_at_edge, score_of, stored_rate, write_rates
from understudy.bench.results import RunResult, read_result
from understudy.bench.settings import Setting
from understudy.bench.timing import Ticker
from understudy.preview import preview
from understudy.recipe import recipe_from
from understudy.training.progress import Display

TUNING_SEED = 1000
"""Of the runs that a learning rate is chosen by; none of the comparison's own."""


@dataclass(frozen=True)
class _Bench:
    """An order with everything looked up."""

    order: Order
    setting: Setting
    contenders: tuple[Contender, ...]
    steps: int
    folder: BenchFolder
    display: Display

    @property
    def exam(self) -> Exam:
        setting = self.setting
        return Exam(setting.domains, "eval", self.order.scale.problems, setting.max_completion_length)

    @property
    def probing(self) -> Probing:
        return Probing(self.order.scale.probe_every, self.order.scale.probe_problems)


def compare_methods(order: Order, *, display: Display) -> Outcome:
    """Run what has not been run yet, and write tables, page and raw figures into the folder.

    Raises:
        UserMistakeError: an unknown setting, method or ablation; a recipe that cannot run; a folder of another bench.
        InterruptedBenchError: a signal came; what is finished is kept.
    """
    setting = setting_named(order.setting)
    contenders = contenders_of(order, setting)
    scale = order.scale
    steps = scale.steps or setting.steps
    models = models_of(setting, contenders)
    definition = Definition(
        setting=setting.name,
        rates=order.rates,
        ablation=order.ablation,
        steps=steps,
        problems=scale.problems,
        probe_every=scale.probe_every,
        probe_problems=scale.probe_problems,
        models={name: identity_of(name) for name in models_of(setting, setting.contenders)},
    )
    _check_recipes(order, setting, contenders, steps)
    bench = _Bench(order, setting, contenders, steps, open_folder(order.out, definition), display)
    make_models(models, display)
    if any(contender.tells for contender in contenders):
        tell(setting, bench.folder, display)
    rates, notes = _rates(bench)
    measured = _measured(bench)
    runs = _trained(bench, rates)
    outcome = Outcome(setting, definition, order.command, runs, measured, notes)
    write_outcome(outcome, bench.folder.path)
    return outcome


def _check_recipes(order: Order, setting: Setting, contenders: Sequence[Contender], steps: int) -> None:
    """Refuse before anything is made what cannot run."""
    for contender in contenders:
        if not contender.tells:  # its data is yet to be written
            recipe = _recipe(setting, contender, BenchFolder(order.out), steps, seed=0, rate=setting.learning_rate)
            preview(recipe_from(recipe, source=contender.name))


def _recipe(
    setting: Setting, contender: Contender, folder: BenchFolder, steps: int, *, seed: int, rate: float, name: str = ""
) -> dict[str, object]:
    run = folder.runs / (name or f"{contender.name}-seed{seed}")
    return recipe_of(setting, contender, steps=steps, seed=seed, learning_rate=rate, folder=run, told=folder.told)


def _rates(bench: _Bench) -> tuple[dict[str, float], dict[str, str]]:
    """Each contender's learning rate, and what is to be said of it."""
    setting, names = bench.setting, [contender.name for contender in bench.contenders]
    if bench.order.rates == "unified":
        return dict.fromkeys(names, setting.learning_rate), {}
    if bench.order.rates == "stored":
        stored = {name: stored_rate(setting, name) for name in names}
        rates = {name: rate or setting.learning_rate for name, rate in stored.items()}
        return rates, {name: "no stored rate" for name, rate in stored.items() if rate is None}
    scores = _tuned_scores(bench)
    rates = {name: best_rate(found) for name, found in scores.items()}
    edges = {name: "best rate at the grid's edge" for name, rate in rates.items() if is_at_edge(rate, setting.rates)}
    how = (
        f"{bench.order.command}; validation split, {bench.order.scale.validation_problems} problems, seed {TUNING_SEED}"
    )
    write_rates(bench.folder.path / "rates.yaml", how=how, setting=setting.name, rates=rates)
    return rates, edges


def _tuned_scores(bench: _Bench) -> dict[str, dict[float, float]]:
    exam = replace(bench.exam, split="validation", problems=bench.order.scale.validation_problems)
    jobs: dict[tuple[str, float], Training] = {}
    for contender in bench.contenders:
        for rate in bench.setting.rates:
            name = f"{contender.name}-rate{rate:g}"
            recipe = _recipe(
                bench.setting, contender, bench.folder, bench.steps, seed=TUNING_SEED, rate=rate, name=name
            )
            file = bench.folder.tuning_file(contender.name, rate=rate)
            jobs[contender.name, rate] = Training(contender.name, recipe, exam, bench.probing, file)
    _do(bench, list(jobs.values()), what="rates")
    scores: dict[str, dict[float, float]] = {}
    for (name, rate), job in jobs.items():
        scores.setdefault(name, {})[rate] = score_of(_read(job.file), bench.setting)
    return scores


def _measured(bench: _Bench) -> dict[str, list[RunResult]]:
    models = dict(bench.setting.measured)
    if bench.setting.averaged:
        models["average"] = str(average(bench.setting, bench.folder))
    jobs = {
        label: [
            Measuring(label, model, seed, bench.exam, bench.folder.result_file(label, seed=seed))
            for seed in range(bench.order.scale.seeds)
        ]
        for label, model in models.items()
    }
    _do(bench, [job for found in jobs.values() for job in found], what="measured")
    return {label: [_read(job.file) for job in found] for label, found in jobs.items()}


def _trained(bench: _Bench, rates: Mapping[str, float]) -> dict[str, list[RunResult]]:
    jobs: dict[str, list[Training]] = {contender.name: [] for contender in bench.contenders}
    for seed in range(bench.order.scale.seeds):
        for contender in bench.contenders:
            recipe = _recipe(bench.setting, contender, bench.folder, bench.steps, seed=seed, rate=rates[contender.name])
            file = bench.folder.result_file(contender.name, seed=seed)
            jobs[contender.name].append(Training(contender.name, recipe, bench.exam, bench.probing, file))
    # All contenders' first seeds first: a comparison that is cut short compares like with like.
    _do(bench, [job for group in zip(*jobs.values(), strict=True) for job in group], what="runs")
    return {label: [_read(job.file) for job in found] for label, found in jobs.items()}


def _do(bench: _Bench, jobs: Sequence[Job], *, what: str) -> None:
    """Do the jobs whose results are not there yet."""
    left = [job for job in jobs if kept_result(job.file, _recipe_behind(job)) is None]
    ticker = Ticker(what, kept=len(jobs) - len(left), total=len(jobs), notice=bench.display.notice)
    for job in work(left, processes=bench.order.processes):
        ticker.done(line_of(_read(job.file)))


def _recipe_behind(job: Job) -> Mapping[str, object]:
    return job.recipe if isinstance(job, Training) else {}


def line_of(result: RunResult) -> str:
    """A finished job in one line."""
    head = f"{result.label} seed {result.seed}"
    if result.diverged is not None:
        return f"{head}: diverged"
    first = next(iter(result.domains.values()))
    shown = f"greedy {100 * first.greedy.accuracy:.1f} %, T=1 {100 * first.sampled.accuracy:.1f} %"
    return f"{head}: {shown}" + (f", {result.seconds:.0f} s of steps" if result.recipe else "")


def _read(file: Path) -> RunResult:
    result = read_result(file)
    assert result is not None
    return result
