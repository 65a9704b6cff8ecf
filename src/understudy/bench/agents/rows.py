"""From runs of agents to the rows of tables: means over seeds, and intervals of both kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from understudy.bench.agents.ratio import crossing
from understudy.bench.agents.results import AgentResult, Played
from understudy.bench.rows import Cell, cell_of
from understudy.evaluation.statistics import Estimate, mean_interval

INTERVALS = (
    "Intervals are of 95 %. Over seeds: Student's t over the runs' means; runs differ in the order of games and in "
    "every random draw, and share the start, the teacher and the unseen games. Over games: clustered by game, each "
    "game's mean over the seeds being one value. A difference is paired: the same seeds, the same games, the same "
    "random numbers. `final` are the last weights; `best of validation` are those of the checkpoint that won most of "
    "the validation games (the papers' metric, which chooses and so flatters), played here on the same unseen games."
)


@dataclass(frozen=True)
class Row:
    """One contender or measured model.

    Args:
        label: its name. results: one a seed, those that diverged left out. learning_rate: of its runs.
        final: success on unseen games, with the gain over the start. best: the same of the best checkpoint.
        against: final success minus that of other contenders, over seeds. kinds: final success by sort of task.
        diverged: seeds without figures. note: what a reader should know.
    """

    label: str
    results: Sequence[AgentResult]
    learning_rate: float | None
    final: Cell | None
    best: Cell | None
    against: Mapping[str, Estimate]
    kinds: Mapping[str, Estimate]
    diverged: tuple[int, ...] = ()
    note: str = ""

    def mean(self, figure: Callable[[Played], float | None], *, best: bool = False) -> Estimate | None:
        """A figure of the final weights, or of the best ones, over seeds; None where a run lacks it."""
        played = [result.best if best else result.final for result in self.results]
        values = [None if one is None else figure(one) for one in played]
        known = [value for value in values if value is not None]
        return mean_interval(known) if known and len(known) == len(values) else None

    @property
    def best_steps(self) -> tuple[int, ...]:
        """Steps of the best checkpoints, one a seed."""
        return tuple(result.best_step for result in self.results if result.best_step is not None)

    @property
    def crossings(self) -> tuple[tuple[int, int] | None, ...]:
        """Where each seed's ratio of signals crosses one."""
        courses = [result.course for result in self.results]
        return tuple(crossing(course.ratio_at, course.ratio) for course in courses)

    def to_json(self) -> dict[str, object]:
        """The record as JSON, without single games."""
        figures = {
            "turns": self.mean(lambda one: one.length),
            "turns_of_best": self.mean(lambda one: one.length, best=True),
            "invalid_rate": self.mean(lambda one: one.invalid_rate),
            "loop_share": self.mean(lambda one: one.loop_share),
            "entropy": self.mean(lambda one: one.entropy),
        }
        return {
            "label": self.label,
            "seeds": [result.seed for result in self.results],
            "learning_rate": self.learning_rate,
            "final": None if self.final is None else self.final.to_json(),
            "best_of_validation": None if self.best is None else self.best.to_json(),
            "best_steps": list(self.best_steps),
            **{name: None if one is None else one.to_json() for name, one in figures.items()},
            "against": {name: one.to_json() for name, one in self.against.items()},
            "by_kind": {name: one.to_json() for name, one in self.kinds.items()},
            "crossings": [None if one is None else list(one) for one in self.crossings],
            "diverged": list(self.diverged),
            "note": self.note,
        }


def row_of(
    found: Sequence[AgentResult],
    starts: Sequence[AgentResult],
    *,
    others: Mapping[str, Sequence[AgentResult]],
    kinds: Sequence[str],
    note: str = "",
) -> Row:
    """The row of one label.

    Args:
        found: one a seed. starts: the start with the same seeds, empty for a row without a gain. others: whose final
            success is subtracted. kinds: the sort of task of each unseen game.
    """
    whole = [result for result in found if result.final is not None]
    before = {start.seed: start.known for start in starts}
    paired = [before[result.seed].won for result in whole] if starts else None
    bests = [result.best for result in whole if result.best is not None]
    return Row(
        label=found[0].label,
        results=whole,
        learning_rate=_rate(found[0]),
        final=cell_of([result.known.won for result in whole], paired) if whole else None,
        best=cell_of([one.won for one in bests], paired) if bests else None,
        against={label: gap for label, theirs in others.items() if (gap := difference(whole, theirs)) is not None},
        kinds=_by_kind(whole, kinds) if whole else {},
        diverged=tuple(result.seed for result in found if result.final is None),
        note=note,
    )


def difference(ours: Sequence[AgentResult], theirs: Sequence[AgentResult]) -> Estimate | None:
    """Final success minus theirs, paired by seed; None where no seed has figures of both."""
    other = {result.seed: result.known.success for result in theirs if result.final is not None}
    gains = [one.known.success - other[one.seed] for one in ours if one.seed in other]
    return mean_interval(gains) if gains else None


def _by_kind(found: Sequence[AgentResult], kinds: Sequence[str]) -> dict[str, Estimate]:
    def share(result: AgentResult, kind: str) -> float:
        return fmean(won for won, own in zip(result.known.won, kinds, strict=True) if own == kind)

    return {kind: mean_interval([share(result, kind) for result in found]) for kind in sorted(set(kinds))}


def _rate(result: AgentResult) -> float | None:
    optimizer = result.recipe.get("optimizer")
    return float(optimizer["learning_rate"]) if isinstance(optimizer, Mapping) else None
