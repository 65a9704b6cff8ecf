"""Which charts a run has: none that says nothing, and the same colours as its neighbour's."""

from __future__ import annotations

import pytest

from understudy.reports.charts import Chart
from understudy.reports.curves import PLANS, chart_of


def chart(title: str, *lines: dict[str, float | None]) -> Chart | None:
    plan = next(plan for plan in PLANS if plan.title == title)
    return chart_of(plan, [{"step": float(step), **line} for step, line in enumerate(lines)])


@pytest.mark.parametrize(("turns", "drawn"), [((1.0, 1.0), False), ((1.0, None), False), ((1.0, 1.5), True)])
def test_one_turn_an_episode_is_no_chart(turns: tuple[float | None, ...], drawn: bool) -> None:
    assert (chart("Turns", *({"rollouts/mean_turns": value} for value in turns)) is not None) == drawn


def test_a_phase_has_one_colour_in_every_run() -> None:
    few = {"time/sample": 1.0, "time/teacher_score": 1.0, "time/update": 1.0, "time/plan": 1e-4}
    more = {"time/sample": 1.0, "time/view": 1.0, "time/student_score": 1.0, **few}
    slots = []
    for phases in (few, more):
        drawn = chart("Time by phase", phases, phases)
        assert drawn is not None
        slots.append({one.label: one.slot for one in drawn.series})
        assert len(set(slots[-1].values())) == len(slots[-1])
    assert slots[0].items() <= slots[1].items()
