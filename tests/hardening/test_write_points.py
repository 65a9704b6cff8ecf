"""A few faults at a run's write points; ``python -m benchmarks.faults`` strikes at every one of them."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from benchmarks.faults import forked, kind_of, points_of, strike

from tests.evaluation.test_attempts import sample
from tests.hardening.write_points import FAULTS, Point, Watch, watched
from tests.hardening.write_scenarios import SCENARIOS, Scenario, training_loop
from understudy.errors import UnderstudyError
from understudy.evaluation.grading.marking import Marked
from understudy.evaluation.grading.settings import GraderSettings
from understudy.evaluation.grading.stored_votes import store, stored
from understudy.evaluation.grading.votes import Vote
from understudy.evaluation.journal import journal_at
from understudy.training import checkpoint
from understudy.training.ending import ENDING, ending_told
from understudy.written_whole import write_whole

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


@pytest.mark.parametrize("name", ["files", "index", "score", "launch", "grade"])
def test_a_fault_of_another_command_loses_nothing(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]()
    peaceful, cut = tmp_path / "peaceful" / "run", tmp_path / "cut"
    peaceful.parent.mkdir()
    cut.mkdir()
    points = points_of(scenario, peaceful)
    own = [at for at, point in enumerate(points) if scenario.strikes(point.name)]
    for number, at in enumerate(Random(0).sample(own, STRUCK)):
        found = strike(scenario, at, points[at], FAULTS[number % 4], peaceful=peaceful, folder=cut)
        assert not found.wrong, found


def records() -> Scenario:
    """What evaluations and gradings keep as they go: samples, votes, a page."""
    settings = GraderSettings(name="g", url="http://localhost:1", model="m")
    marked = Marked((Vote(True, "seen"), Vote(None, "", "left out")), 5, 6)

    def go(path: Path, _: bool) -> None:
        with journal_at(path / "s.jsonl", {"seed": 1}) as journal:
            for number in range(2):
                if number not in journal.samples:
                    journal.add({number: sample("p", correct=bool(number))})
        if stored(path / "votes.json", "f") is None:
            store(path / "votes.json", "f", marked=marked, task_id="t", settings=settings)
        write_whole(path / "page.html", "<p>\n", remedy="Make room.")

    def facts(path: Path) -> object:
        return sorted(file.name for file in path.iterdir()), [file.read_bytes() for file in sorted(path.iterdir())]

    return Scenario(go, facts)


def test_a_fault_at_any_write_of_an_evaluation_loses_nothing(tmp_path: Path) -> None:
    peaceful, cut = tmp_path / "peaceful" / "run", tmp_path / "cut"
    peaceful.parent.mkdir()
    cut.mkdir()
    points = points_of(records(), peaceful)
    assert {"s.jsonl", "votes.json", "page.html"} <= {point.name for point in points}
    for at, point in enumerate(points):
        found = strike(records(), at, point, FAULTS[at % 4], peaceful=peaceful, folder=cut)
        assert not found.wrong, found


def test_a_card_that_was_not_written_to_its_end_costs_no_checkpoint(tmp_path: Path) -> None:
    def save(folder: Path) -> None:
        for name in ("config.json", "README.md", ".README.md.7"):
            (folder / name).write_text("{}")

    folder = checkpoint.write(tmp_path, 1, save)
    (folder / ".README.md.7").rename(folder / "README.md")
    assert checkpoint.faults_of(folder) is None
    (folder / "config.json").write_text("[]")
    assert "config.json" in str(checkpoint.faults_of(folder))


def test_a_disk_that_keeps_the_last_ending_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / ENDING).mkdir()  # what cannot be removed as a file
    with pytest.raises(UnderstudyError, match=r"ending\.json cannot be written"), ending_told(tmp_path):
        pass


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
