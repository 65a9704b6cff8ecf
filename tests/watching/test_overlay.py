"""Curves of several runs: where their points stand, along what, and how they are smoothed."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.reports.reading import RunRecord
from understudy.watching.overlay import Runner, View, chart_of, names_of, smoothed, usual_of


def runner(label: str, *, losses: list[float | None], tokens: float = 10.0, seconds: float = 2.0) -> Runner:
    lines = tuple(
        {"step": float(step), "loss": loss, "num_tokens": tokens, "step_time": seconds, "gate/a": 0.5}
        for step, loss in enumerate(losses)
    )
    evaluations = ({"step": 0.0, "eval/s/mean": 0.1, "eval/s/low": 0.0}, {"step": 2.0, "eval/s/mean": 0.3})
    return Runner(label, RunRecord(Path(), {}, "", {}, lines, evaluations, None, ()), slot=len(label) % 8)


def test_along_steps_each_run_has_its_own_values_and_none_beyond_its_end() -> None:
    chart = chart_of("loss", [runner("a", losses=[3.0, None, 1.0]), runner("bb", losses=[5.0])], View())
    assert chart is not None
    assert chart.steps == (0.0, 1.0, 2.0)
    assert [series.values for series in chart.series] == [(3.0, None, 1.0), (5.0, None, None)]
    assert [series.label for series in chart.series] == ["a", "bb"]


def test_along_tokens_and_time_points_stand_where_the_sums_are() -> None:
    runs = [runner("a", losses=[3.0, 1.0]), runner("b", losses=[3.0, 1.0], tokens=20.0)]
    chart = chart_of("loss", runs, View(across="tokens"))
    assert chart is not None
    assert (chart.steps[0], chart.steps[-1]) == (10.0, 40.0)
    middle = min(range(len(chart.steps)), key=lambda place: abs(chart.steps[place] - 15.0))
    assert chart.series[0].values[middle] == pytest.approx(2.0, abs=0.05), "half way between its two points"
    assert chart.series[1].values[0] is None, "before its first step ended"
    assert chart.series[1].values[-1] == pytest.approx(1.0)
    evaluated = chart_of("eval/s/mean", [runner("a", losses=[1.0] * 3)], View(across="time"))
    assert evaluated is not None
    assert (evaluated.steps[0], evaluated.steps[-1]) == (0.0, 4.0), "evaluation 2 comes before step 2"


def test_smoothing_begins_without_bias_and_keeps_what_was_measured() -> None:
    assert smoothed((2.0, 2.0, 2.0), 0.9) == pytest.approx((2.0, 2.0, 2.0))
    chart = chart_of("loss", [runner("a", losses=[1.0, 3.0])], View(smoothing=0.5))
    assert chart is not None
    assert chart.series[0].behind == (1.0, 3.0)
    assert chart.series[0].values == pytest.approx((1.0, 7 / 3))


def test_figures_are_named_and_the_usual_ones_chosen() -> None:
    names = names_of([runner("a", losses=[1.0, 2.0])])
    assert names == ["eval/s/mean", "loss", "num_tokens", "step_time", "gate/a"]
    assert usual_of(["eval/s/low", "eval/s/mean", "gate/a", "loss", "step_time"]) == [
        "eval/s/mean",
        "gate/a",
        "step_time",
    ]
    assert chart_of("of nobody", [runner("a", losses=[1.0])], View()) is None


def test_a_mass_that_rounding_put_above_one_is_a_share_still() -> None:
    lines = tuple({"step": float(step), "support/teacher_mass": 1.0000002} for step in range(2))
    chart = chart_of(
        "support/teacher_mass", [Runner("a", RunRecord(Path(), {}, "", {}, lines, (), None, ()), 0)], View()
    )
    assert chart is not None and chart.form == "share"
