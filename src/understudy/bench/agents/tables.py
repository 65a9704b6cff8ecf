"""The rows of a comparison of agents as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from understudy.bench.agents.results import Played
from understudy.bench.agents.rows import Row
from understudy.bench.rows import Cell
from understudy.bench.tables import ABSENT, Table, share, signed
from understudy.evaluation.statistics import Estimate


def success_table(rows: Sequence[Row]) -> Table:
    """Success on unseen games, per cent: of the last weights with both intervals, and of the best checkpoint.

    What was only measured has no runs to vary: its interval is over games.
    """
    heading = [
        "",
        "learning rate",
        "final, over seeds",
        "over games",
        "gain over the start",
        "best of validation",
        "its turns",
        "its step",
    ]
    return [heading, *([row.label, *_success(row)] for row in rows)]


def against_table(rows: Sequence[Row]) -> Table:
    """Final success minus that of others, points, paired by seed."""
    names = list(dict.fromkeys(name for row in rows for name in row.against))
    heading = ["final success minus that of", *names]
    cells = [[row.label, *(_signed(row.against.get(name)) for name in names)] for row in rows if row.against]
    return [heading, *cells]


def conduct_table(rows: Sequence[Row]) -> Table:
    """How the last weights play unseen games."""
    heading = ["", "turns", "invalid actions, %", "repeated turns, %", "reverse KL", "entropy", "seeds", "note"]
    return [heading, *([row.label, *_conduct(row)] for row in rows)]


def kinds_table(rows: Sequence[Row]) -> Table:
    """Final success by sort of task, per cent."""
    kinds = list(dict.fromkeys(kind for row in rows for kind in row.kinds))
    return [["", *kinds], *([row.label, *(_share(row.kinds.get(kind)) for kind in kinds)] for row in rows)]


def ratio_table(rows: Sequence[Row]) -> Table:
    """The ratio of the two signals at steps whose rollouts were kept, means over seeds, and where it crosses one."""
    heading, body = [""], []
    for row in rows:
        courses = [result.course for result in row.results if any(one is not None for one in result.course.ratio)]
        if not courses:
            continue
        steps = courses[0].ratio_at
        heading = ["step", *map(str, steps), "crosses one between"]
        means = [_mean([course.ratio[place] for course in courses]) for place in range(len(steps))]
        crossings = ["never" if one is None else f"{one[0]}-{one[1]}" for one in row.crossings]
        body.append([row.label, *means, ", ".join(crossings)])
    return [heading, *body]


def _success(row: Row) -> list[str]:
    rate = ABSENT if row.learning_rate is None else f"{row.learning_rate:g}"
    final = row.final
    if final is None:
        return [rate, *[ABSENT] * 6]
    if row.learning_rate is None:
        return [rate, ABSENT, share(final.over_problems), *[ABSENT] * 4]
    gain = ABSENT if final.gain_over_seeds is None else signed(final.gain_over_seeds)
    return [rate, share(final.over_seeds), share(final.over_problems), gain, *_best(row, row.best)]


def _best(row: Row, best: Cell | None) -> list[str]:
    turns = row.mean(lambda one: one.length, best=True)
    if best is None or turns is None:
        return [ABSENT] * 3
    return [share(best.over_seeds), _number(turns), ", ".join(map(str, row.best_steps))]


def _conduct(row: Row) -> list[str]:
    teacher = row.results[0].teacher if row.results else ""
    figures: tuple[tuple[Callable[[Played], float | None], Callable[[Estimate | None], str]], ...] = (
        (lambda one: one.length, _number),
        (lambda one: one.invalid_rate, _share),
        (lambda one: one.loop_share, _share),
        (lambda one: one.reverse_kl.get(teacher if teacher in one.reverse_kl else "recovery"), _fine),
        (lambda one: one.entropy, _fine),
    )
    failed = f"diverged with seed {', '.join(map(str, row.diverged))}" if row.diverged else ""
    note = "; ".join(filter(None, (failed, row.note)))
    return [*(written(row.mean(figure)) for figure, written in figures), str(len(row.results)), note]


def _share(estimate: Estimate | None) -> str:
    return ABSENT if estimate is None else share(estimate)


def _signed(estimate: Estimate | None) -> str:
    return ABSENT if estimate is None else signed(estimate)


def _number(estimate: Estimate | None, digits: int = 1) -> str:
    if estimate is None:
        return ABSENT
    if abs(estimate.low) == float("inf"):
        return f"{estimate.mean:.{digits}f}"
    return f"{estimate.mean:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _fine(estimate: Estimate | None) -> str:
    return _number(estimate, 3)


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.2f}" if known else ABSENT
