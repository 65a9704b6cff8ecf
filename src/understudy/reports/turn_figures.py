"""Figures by turn: disagreement d, uncertainty h and weight w, before and after, with the share still alive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from understudy.reports.charts import Chart, Column, Series
from understudy.reports.saved_rollouts import SavedRollout, SavedTurn, WholeStep, own_logprob

TURN_WEIGHT = "/turn_weight"
"""How the column of a term's turn weights ends (docs/design/017)."""
_MEANINGS = (
    ("disagreement", "Disagreement d", "mean |log ratio| of the turn's tokens, nats"),
    ("uncertainty", "Uncertainty h", "mean surprisal of the turn's tokens, nats"),
    ("weight", "Weight w", "as it was trained with"),
)


@dataclass(frozen=True)
class TurnFigures:
    """Of one turn; None where the run did not record it."""

    disagreement: float | None
    uncertainty: float | None
    weight: float | None


def figures_of(turn: SavedTurn) -> TurnFigures:
    """Raw d and h over the student's own tokens of a turn, in nats, and the weight that the planner gave it."""
    student, teacher = own_logprob(turn), turn.figures.get("teacher_logprob")
    weights = [column for name, column in turn.figures.items() if name.endswith(TURN_WEIGHT)]
    return TurnFigures(
        disagreement=None if teacher is None else _mean(np.abs(teacher - student)),
        uncertainty=_mean(-student),
        weight=_mean(np.concatenate(weights)) if weights else None,
    )


def is_of_agents(steps: Sequence[WholeStep]) -> bool:
    """Whether some episode has more than one turn."""
    return any(len(rollout.turns) > 1 for step in steps for rollout in step.rollouts)


def turn_charts(steps: Sequence[WholeStep]) -> tuple[Chart, ...]:
    """One chart a figure over the turns of an episode; a curve for the first saved step, and one for the last."""
    if not is_of_agents(steps):
        return ()
    longest = max(len(rollout.turns) for step in steps for rollout in step.rollouts)
    known = [[[figures_of(turn) for turn in one.turns] for one in step.rollouts] for step in steps]
    alive = tuple(
        Series(f"still playing, {_when(step)}", _alive(step.rollouts, longest), slot) for slot, step in enumerate(steps)
    )
    charts = []
    for name, title, unit in _MEANINGS:
        columns = [_by_turn(episodes, longest, attrgetter(name)) for episodes in known]
        if not any(value is not None for column in columns for value in column):
            continue
        charts.append(
            Chart(
                title=title,
                unit=unit,
                steps=tuple(float(turn) for turn in range(1, longest + 1)),
                series=tuple(
                    Series(_when(step), column, slot)
                    for slot, (step, column) in enumerate(zip(steps, columns, strict=True))
                ),
                shares=alive,
                across="turn",
            )
        )
    return tuple(charts)


def _when(step: WholeStep) -> str:
    return "before training" if step.step == 0 else f"step {step.step:,}"


def _alive(rollouts: Sequence[SavedRollout], longest: int) -> Column:
    return tuple(sum(len(one.turns) > turn for one in rollouts) / len(rollouts) for turn in range(longest))


def _by_turn(
    episodes: Sequence[Sequence[TurnFigures]], longest: int, read: Callable[[TurnFigures], float | None]
) -> Column:
    """Mean over the episodes that have such a turn."""
    columns = [
        [value for one in episodes if len(one) > t and (value := read(one[t])) is not None] for t in range(longest)
    ]
    return tuple(float(np.mean(column)) if column else None for column in columns)


def _mean(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
