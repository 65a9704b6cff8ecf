"""A few faults at a run's write points; ``python -m benchmarks.faults`` strikes at every one of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from benchmarks.faults import Scenario, forked, kind_of, points_of, strike, training_loop

from tests.hardening.write_points import FAULTS, Point, Watch, watched

STRUCK = 3


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return training_loop()


def test_a_fault_anywhere_loses_nothing(scenario: Scenario, tmp_path: Path) -> None:
    peaceful, cut = tmp_path / "peaceful" / "run", tmp_path / "cut"
    peaceful.parent.mkdir()
    cut.mkdir()
    points = points_of(scenario, peaceful)
    kinds = {deed for deed, _ in map(kind_of, points)}
    assert kinds == {"open", "write", "native write", "fsync", "rename", "remove", "mkdir"}
    for number, at in enumerate(Random(0).sample(range(len(points)), STRUCK)):
        found = strike(scenario, at, points[at], FAULTS[number % 4], peaceful=peaceful, folder=cut)
        assert not found.wrong, found


def test_a_loss_is_noticed(tmp_path: Path) -> None:
    """A scenario that forgets what a fault cut off, and one that lets the system's own error through."""

    def forgetful(path: Path, resume: bool) -> None:
        path.mkdir(exist_ok=True)
        if not resume:
            (path / "a").write_text("whole")

    scenario = Scenario(forgetful, lambda path: (path / "a").read_text())
    peaceful = tmp_path / "peaceful" / "run"
    peaceful.parent.mkdir()
    points = points_of(scenario, peaceful)
    assert Point("write", "a") in points
    at = points.index(Point("write", "a"))
    killed = strike(scenario, at, points[at], "kill", peaceful=peaceful, folder=tmp_path)
    assert killed.said == "killed" and "other files or numbers" in killed.wrong
    full = strike(scenario, at, points[at], "ENOSPC", peaceful=peaceful, folder=tmp_path)
    assert "No space left on device" in full.wrong and full.wrong.startswith("escaped")


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    def work() -> str:
        with watched(Watch(tmp_path / "run", at=0, fault="kill")) as watch:
            (tmp_path / "other").write_text("x")
        return str(watch.points)

    assert forked(work) == "[]"
