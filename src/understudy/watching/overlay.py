"""Curves of several runs in one drawing: along steps, tokens or time, smoothed where asked."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from understudy.reports.charts import Chart, Column, Form, Series
from understudy.reports.glossary import metric_of
from understudy.reports.reading import Line, RunRecord

Across = Literal["step", "tokens", "time"]
MOST_RUNS = 8
"""As many as there are colours."""
_LONGEST_LABEL = 40
"""Letters of a run's name in a legend."""
_GRID = 300
"""Points along tokens or time, which no two runs share."""

USUAL = (
    "eval/",
    "kl/reverse_k1",
    "reward",
    "accuracy",
    "entropy/sampled",
    "completions/mean_length",
    "agreement/",
    "support/",
    "gate/",
    "grad_norm",
    "step_time",
    "memory/resident_gib",
)
"""Figures that are drawn unasked: each a name, or the beginning of names where it ends with a slash."""


@dataclass(frozen=True)
class Runner:
    """A run in the drawing: its label in the legend, its record, and the number of its colour."""

    label: str
    record: RunRecord
    slot: int


@dataclass(frozen=True)
class View:
    """How curves are drawn.

    Args:
        across: what is counted along the horizontal axis. smoothing: 0 for none, below 1; the share that an average
            over the steps so far keeps at each step.
    """

    across: Across = "step"
    smoothing: float = 0.0


def names_of(runners: Sequence[Runner]) -> list[str]:
    """Every figure that some run has a value of: evaluations first, then by family, in the order of the runs' files."""
    lines = [line for one in runners for line in (*one.record.evaluations[-1:], *_ends(one.record.metrics))]
    names = dict.fromkeys(
        name for line in lines for name, value in line.items() if name != "step" and value is not None
    )
    return sorted(names, key=lambda name: (not name.startswith("eval/"), "/" in name, name.split("/")[0]))


def usual_of(names: Sequence[str]) -> list[str]:
    """Those of the names that are drawn unasked."""
    plain = [name for name in names if not name.startswith("eval/") or name.endswith("/mean")]
    return [name for wish in USUAL for name in plain if (name.startswith(wish) if wish.endswith("/") else name == wish)]


def chart_of(name: str, runners: Sequence[Runner], view: View) -> Chart | None:
    """One figure, a curve a run; None where no run has a value of it."""
    points = [(one, _points(one.record, name, view.across)) for one in runners]
    points = [(one, found) for one, found in points if any(value is not None for _, value in found)]
    if not points:
        return None
    unit, scale = _unit(view.across, max(x for _, found in points for x, _ in found))
    scaled = [(one, [(x / scale, value) for x, value in found]) for one, found in points]
    grid = _grid([x for _, found in scaled for x, _ in found], view.across)
    metric = metric_of(name)
    form: Form = "share" if metric is not None and metric.unit == "share" and _is_share(scaled) else "number"
    return Chart(
        title=name,
        unit=metric.unit if metric is not None else "",
        steps=tuple(grid),
        # Evaluations are few, and each is a mean of many answers already.
        series=tuple(
            _series(one, found, grid, 0.0 if name.startswith("eval/") else view.smoothing) for one, found in scaled
        ),
        form=form,
        across=unit,
        note=metric.meaning.replace("`", "") if metric is not None else "",
    )


def smoothed(values: Column, share: float) -> Column:
    """An exponential average that begins without a bias to zero; what is missing stays missing.

    >>> smoothed((1.0, None, 3.0), 0.5)
    (1.0, None, 2.3333333333333335)
    """
    total, weight = 0.0, 0.0
    found: list[float | None] = []
    for value in values:
        if value is None:
            found.append(None)
            continue
        total, weight = share * total + (1 - share) * value, share * weight + (1 - share)
        found.append(total / weight)
    return tuple(found)


def _series(runner: Runner, points: list[tuple[float, float | None]], grid: Sequence[float], share: float) -> Series:
    xs, raw = [x for x, _ in points], tuple(value for _, value in points)
    values = smoothed(raw, share) if share else raw
    behind = _on_grid(xs, raw, grid) if share else ()
    return Series(_shortened(runner.label), _on_grid(xs, values, grid), runner.slot, behind=behind)


def _shortened(label: str) -> str:
    """A run's name as every legend has room for it; sweeps name their runs by what stands at both ends.

    >>> _shortened("learning_rate-3e-4__num_generations-2__seed-17")
    'learning_rate-3e-4_…enerations-2__seed-17'
    """
    half = _LONGEST_LABEL // 2
    return label if len(label) <= _LONGEST_LABEL else f"{label[: half - 1]}…{label[-(half + 1) :]}"


def _points(record: RunRecord, name: str, across: Across) -> list[tuple[float, float | None]]:
    """Place and value at each recorded step, ascending."""
    is_evaluation = name.startswith("eval/")
    lines = [line for line in (record.evaluations if is_evaluation else record.metrics) if name in line]
    if across == "step":
        return [(_step(line), line[name]) for line in lines]
    counted = "num_tokens" if across == "tokens" else "step_time"
    steps = [_step(line) for line in record.metrics]
    sums = [0.0, *accumulate(line.get(counted) or 0.0 for line in record.metrics)]
    # A step's figures are known at its end; evaluation n is made before step n.
    find = bisect.bisect_left if is_evaluation else bisect.bisect_right
    return [(sums[find(steps, _step(line))], line[name]) for line in lines]


def _on_grid(xs: Sequence[float], values: Column, grid: Sequence[float]) -> Column:
    """Values at the grid's places, straight between neighbours that were recorded; None outside and in gaps."""
    return tuple(_at(xs, values, x) for x in grid)


def _at(xs: Sequence[float], values: Column, x: float) -> float | None:
    right = bisect.bisect_left(xs, x)
    if right < len(xs) and xs[right] == x:
        return values[right]
    if right in (0, len(xs)):
        return None
    (x0, x1), (y0, y1) = xs[right - 1 : right + 1], values[right - 1 : right + 1]
    return None if y0 is None or y1 is None else y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _grid(places: list[float], across: Across) -> list[float]:
    known = sorted(set(places))
    if across == "step" or len(known) <= 2:
        return known
    step = (known[-1] - known[0]) / _GRID
    return [known[0] + step * number for number in range(_GRID)] + [known[-1]]


def _unit(across: Across, most: float) -> tuple[str, float]:
    """How the axis is called, and what one of its units is."""
    if across == "tokens":
        return ("million tokens", 1e6) if most >= 2e6 else ("thousand tokens", 1e3) if most >= 2e3 else ("token", 1.0)
    if across == "time":
        return ("hour", 3600.0) if most >= 7200 else ("minute", 60.0) if most >= 180 else ("second", 1.0)
    return "step", 1.0


def _is_share(scaled: Sequence[tuple[Runner, list[tuple[float, float | None]]]]) -> bool:
    """Masses are sums of rounded exponentials, and may be above 1 by as much."""
    return all(value is None or 0 <= value <= 1 + 1e-3 for _, found in scaled for _, value in found)


def _ends(lines: Sequence[Line]) -> Sequence[Line]:
    """The first and the newest lines: figures that come and go are in one of them."""
    return (*lines[:2], *lines[-8:])


def _step(line: Line) -> float:
    return line.get("step") or 0.0
