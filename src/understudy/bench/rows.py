"""From runs to the rows of a table: means over seeds, gains over the start, and intervals of both kinds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from understudy.bench.results import Measured, RunResult
from understudy.bench.settings import Domain, Setting, expert_of
from understudy.evaluation.statistics import Estimate, clustered_interval, mean_interval, wilson_interval

MODES = ("greedy", "sampled")

INTERVALS = (
    "Intervals are of 95 % and of two kinds. Over seeds (`over_seeds`; the tables' for what was trained): Student's t "
    "over the runs' means. The start, the teacher and the problems are the same in all runs, so it covers the runs' "
    "own chance alone. Over problems (`over_problems`; the tables' for what was only measured): clustered by problem, "
    "each problem's mean over the seeds being one value; it covers the choice of problems alone."
)


@dataclass(frozen=True)
class Cell:
    """An accuracy, and what was gained over the start on the same problems with the same random numbers.

    Args:
        over_seeds, over_problems: of the accuracy. gain_over_seeds, gain_over_problems: of the difference; None for
            the start itself.
    """

    over_seeds: Estimate
    over_problems: Estimate
    gain_over_seeds: Estimate | None = None
    gain_over_problems: Estimate | None = None

    def to_json(self) -> dict[str, object]:
        """The record as JSON; what is None has no key."""
        return {name: getattr(self, name).to_json() for name in self.__dict__ if getattr(self, name) is not None}


@dataclass(frozen=True)
class Row:
    """One contender or measured model.

    Args:
        label: its name. seeds: that it was run with. learning_rate: of its runs. cells: by domain and way of answering.
        reverse_kl, entropy, length: of fresh answers of the first domain at temperature 1, means over seeds.
        grad_norm: before clipping, mean over steps and seeds. seconds: of all training steps, mean over seeds.
        seconds_a_step: by phase. parameters: of the models that took part. diverged: seeds whose loss was not finite.
        note: what a reader should know.
    """

    label: str
    seeds: tuple[int, ...]
    learning_rate: float | None
    cells: Mapping[str, Mapping[str, Cell]]
    reverse_kl: float | None = None
    entropy: float | None = None
    length: float | None = None
    grad_norm: float | None = None
    seconds: float | None = None
    seconds_a_step: Mapping[str, float] | None = None
    parameters: Mapping[str, int] | None = None
    diverged: tuple[int, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        plain = {name: value for name, value in self.__dict__.items() if name != "cells"}
        cells = {d: {mode: cell.to_json() for mode, cell in modes.items()} for d, modes in self.cells.items()}
        return {**plain, "seeds": list(self.seeds), "diverged": list(self.diverged), "cells": cells}


@dataclass(frozen=True)
class Verdict:
    """A merged student against the expert of each domain, greedily and at temperature 1.

    Args:
        label: of the student. margins: accuracy minus the expert's over seeds, by domain and way of answering.
        above_all: by way of answering, whether every domain's interval lies above zero.
    """

    label: str
    margins: Mapping[str, Mapping[str, Estimate]]
    above_all: Mapping[str, bool]

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        margins = {d: {mode: one.to_json() for mode, one in modes.items()} for d, modes in self.margins.items()}
        return {"label": self.label, "margins": margins, "above_all": dict(self.above_all)}


def row_of(runs: Sequence[RunResult], starts: Sequence[RunResult], domains: Sequence[Domain], *, note: str = "") -> Row:
    """The row of one label.

    Args:
        runs: one a seed. starts: the start measured with the same seeds; empty for the row of the start itself.
    """
    whole = [run for run in runs if run.diverged is None]
    first = domains[0].name
    sampled = [run.domains[first].sampled for run in whole]
    trained = [run for run in whole if run.recipe]
    return Row(
        label=runs[0].label,
        seeds=tuple(run.seed for run in runs),
        learning_rate=_learning_rate(runs[0]),
        cells={}
        if not whole
        else {d.name: {mode: _cell(whole, starts, d.name, mode) for mode in MODES} for d in domains},
        reverse_kl=_mean(one.reverse_kl for one in sampled),
        entropy=_mean(one.entropy for one in sampled),
        length=_mean(one.length for one in sampled),
        grad_norm=_mean(fmean(run.curves.grad_norm) for run in trained if run.curves.grad_norm),
        seconds=_mean(run.seconds for run in trained),
        seconds_a_step=_mean_by_name([run.phases for run in trained]) if trained else None,
        parameters=whole[0].parameters if whole else None,
        diverged=tuple(run.seed for run in runs if run.diverged is not None),
        note=note,
    )


def cell_of(after: Sequence[Sequence[int]], before: Sequence[Sequence[int]] | None) -> Cell:
    """The cell from each seed's right and wrong answers ([seed][problem]), and those of the start.

    One seed gives no interval over seeds: it is infinite.
    """
    accuracies = [fmean(answers) for answers in after]
    by_problem = [fmean(answers) for answers in zip(*after, strict=True)]
    level = wilson_interval(sum(after[0]), len(after[0])) if len(after) == 1 else clustered_interval(by_problem)
    if before is None:
        return Cell(_within_one(mean_interval(accuracies)), level)
    gains = [fmean(a) - fmean(b) for a, b in zip(after, before, strict=True)]
    before_by_problem = [fmean(answers) for answers in zip(*before, strict=True)]
    differences = [a - b for a, b in zip(by_problem, before_by_problem, strict=True)]
    return Cell(_within_one(mean_interval(accuracies)), level, mean_interval(gains), mean_interval(differences))


def _within_one(estimate: Estimate) -> Estimate:
    """The interval of a share, cut to [0, 1]; that of a single run stays infinite."""
    if math.isinf(estimate.low):
        return estimate
    return replace(estimate, low=max(0.0, estimate.low), high=min(1.0, estimate.high))


def verdict_of(
    runs: Sequence[RunResult], experts: Mapping[str, Sequence[RunResult]], domains: Sequence[Domain]
) -> Verdict:
    """Whether a merged student is above every expert in the expert's own domain, by intervals over seeds.

    Args:
        experts: by ``expert_of`` their domain, measured with the same seeds as the runs.
    """
    margins: dict[str, dict[str, Estimate]] = {}
    for domain in domains:
        by_seed = {result.seed: result for result in experts[expert_of(domain)]}
        margins[domain.name] = {
            mode: mean_interval([_accuracy(r, domain, mode) - _accuracy(by_seed[r.seed], domain, mode) for r in runs])
            for mode in MODES
        }
    above = {mode: all(by_mode[mode].low > 0 for by_mode in margins.values()) for mode in MODES}
    return Verdict(runs[0].label, margins, above)


def _accuracy(result: RunResult, domain: Domain, mode: str) -> float:
    return _of(result, domain.name, mode).accuracy


def _of(result: RunResult, domain: str, mode: str) -> Measured:
    performance = result.domains[domain]
    return performance.greedy if mode == "greedy" else performance.sampled


def _cell(runs: Sequence[RunResult], starts: Sequence[RunResult], domain: str, mode: str) -> Cell:
    by_seed = {start.seed: _of(start, domain, mode).correct for start in starts}
    before = [by_seed[run.seed] for run in runs] if starts else None
    return cell_of([_of(run, domain, mode).correct for run in runs], before)


def _learning_rate(run: RunResult) -> float | None:
    optimizer = run.recipe.get("optimizer")
    return float(optimizer["learning_rate"]) if isinstance(optimizer, Mapping) else None


def _mean(values: object) -> float | None:
    known = [value for value in values if value is not None]  # type: ignore[attr-defined]
    return fmean(known) if known else None


def _mean_by_name(records: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for record in records for name in record)
    return {name: fmean(record.get(name, 0.0) for record in records) for name in names}


def rows_of(
    setting: Setting,
    runs: Mapping[str, Sequence[RunResult]],
    measured: Mapping[str, Sequence[RunResult]],
    notes: Mapping[str, str],
) -> list[Row]:
    """All rows: first the models that were only measured, then the contenders in their order."""
    starts = measured["start"]
    rows = [row_of(found, starts if label != "start" else (), setting.domains) for label, found in measured.items()]
    return [
        *rows,
        *(row_of(found, starts, setting.domains, note=notes.get(label, "")) for label, found in runs.items()),
    ]
