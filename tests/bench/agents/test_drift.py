"""The judgement of a drift, from runs with known figures."""

from __future__ import annotations

import pytest

from tests.bench.agents.hand_made import run, start
from understudy.bench.agents.drift import drift_of, drift_table

STARTS = [start(seed, (1, 1, 0, 0)) for seed in range(3)]


def test_nearer_to_the_teacher_and_worse_is_a_drift() -> None:
    runs = [run("opd-clean", seed, (0, 0, 0, 0), kl=0.1 + seed / 100, teacher="clean", repeated=2) for seed in range(3)]
    drift = drift_of(runs, STARTS)
    assert drift is not None and drift.finding == "drift" and drift.teacher == "clean"
    assert drift.kl_before.mean == 2.0 and drift.kl_after.mean == pytest.approx(0.22)  # to the clean teacher
    assert drift.success_change.mean == -0.5 and drift.loops_after.mean == 0.5
    (row,) = drift_table([drift])[1:]
    assert row[2] == "2.000 -> 0.220" and row[4] == "50.0 -> 0.0 [0.0, 0.0]" and row[-1] == "drift"


def test_nearer_and_better_is_learning_and_wide_intervals_decide_nothing() -> None:
    better = [run("opd", seed, (1, 1, 1, 0), kl=0.1) for seed in range(3)]
    assert drift_of(better, STARTS).finding == "learns"  # type: ignore[union-attr]
    mixed = [run("opd", seed, won, kl=0.1) for seed, won in enumerate([(1, 1, 1, 1), (0, 0, 0, 0), (1, 1, 0, 0)])]
    assert drift_of(mixed, STARTS).finding == "undecided"  # type: ignore[union-attr]
    further = [run("opd", seed, (0, 0, 0, 0), kl=3.0) for seed in range(3)]
    assert drift_of(further, STARTS).finding == "undecided"  # type: ignore[union-attr]


def test_a_student_that_teaches_itself_has_no_distance_to_judge_by() -> None:
    assert drift_of([run("sdar", 0, (1, 0, 0, 0), teacher="self")], STARTS) is None
