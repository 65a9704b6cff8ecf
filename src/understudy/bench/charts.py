"""The curves of a comparison: one chart a figure, one curve a contender."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from understudy.bench.results import Curves, RunResult
from understudy.reports.charts import Chart, Column, Form, Series

MOST_CURVES = 8
"""As many as the page has colours; further contenders get a chart of their own."""


@dataclass(frozen=True)
class Figure:
    """What is drawn.

    Args:
        title, unit: above the chart. values: from a run's curves. probed: at the probes' steps, not at every step.
    """

    title: str
    unit: str
    values: Callable[[Curves], Sequence[float | None]]
    probed: bool = True
    form: Form = "number"


FIGURES = (
    Figure("Entropy", "nats a token, fresh answers at temperature 1", lambda curves: curves.entropy),
    Figure("Entropy in training", "mean -log pi_S of its own tokens", lambda curves: curves.own_entropy, probed=False),
    Figure("Gradient norm", "before clipping", lambda curves: curves.grad_norm, probed=False),
    Figure("Reverse KL to the teacher", "nats a token, fresh answers at temperature 1", lambda c: c.reverse_kl),
    Figure("Accuracy on the way", "share of a few problems, temperature 1", lambda c: c.accuracy, form="share"),
    Figure("Length", "tokens, fresh answers at temperature 1", lambda curves: curves.length),
)


def charts_of(runs: Mapping[str, Sequence[RunResult]]) -> list[Chart]:
    """Every figure's charts; a curve is the mean over the contender's seeds."""
    whole = {label: [run.curves for run in found if run.diverged is None] for label, found in runs.items()}
    groups = in_groups([label for label, curves in whole.items() if curves], most=MOST_CURVES)
    charts = [
        _chart(figure, {label: whole[label] for label in group}, number, len(groups))
        for figure in FIGURES
        for number, group in enumerate(groups)
    ]
    return [chart for chart in charts if chart.series]


def in_groups(labels: Sequence[str], *, most: int) -> list[list[str]]:
    """The labels in order, in as few groups as can be, of sizes that differ by one at most.

    >>> in_groups(list("abcde"), most=4)
    [['a', 'b', 'c'], ['d', 'e']]
    """
    count = -(-len(labels) // most)
    size, larger = divmod(len(labels), count) if count else (0, 0)
    starts = [number * size + min(number, larger) for number in range(count + 1)]
    return [list(labels[start:end]) for start, end in itertools.pairwise(starts)]


def _chart(figure: Figure, curves: Mapping[str, Sequence[Curves]], number: int, count: int) -> Chart:
    first = next(iter(curves.values()))[0]
    drawn = {label: means_of([figure.values(one) for one in found]) for label, found in curves.items()}
    steps = first.probed if figure.probed else range(len(first.grad_norm))
    title = figure.title if count == 1 else f"{figure.title} ({number + 1} of {count})"
    return Chart(title, figure.unit, tuple(map(float, steps)), series_of(drawn), form=figure.form)


def series_of(drawn: Mapping[str, Column]) -> tuple[Series, ...]:
    """A curve a label, those without any figure left out; each keeps the colour of its place."""
    return tuple(
        Series(label, values, slot)
        for slot, (label, values) in enumerate(drawn.items())
        if any(value is not None for value in values)
    )


def means_of(columns: Sequence[Sequence[float | None]]) -> Column:
    """The mean over runs at each step; None where no run has a figure. Runs that were never asked for it are left out.

    >>> means_of([(1.0, None), (2.0, None), ()])
    (1.5, None)
    """
    steps = [[v for v in values if v is not None] for values in zip(*filter(None, columns), strict=True)]
    return tuple(fmean(values) if values else None for values in steps)
