"""How a run of several ranks ends before its time, under torchrun itself: a rank is killed, or Ctrl-C asks for it."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from tests.engines.cluster.on_ranks import Torchrun, command, on_ranks, started, under_torchrun
from tests.tiny_files import Workplace, make_workplace, metrics_of

pytestmark = pytest.mark.timeout(300)

STEPS, EVERY = 12, 4
OVERRIDES = ["engine.kind=cluster", f"steps={STEPS}", f"checkpoint.every={EVERY}", "evaluation.suites=[]"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace in which two ranks have made the run ``peaceful``."""
    place = make_workplace(tmp_path_factory.mktemp("ends"))
    on_ranks(command, 2, arguments(place, "peaceful"), place.path / "peaceful")
    return place


def arguments(place: Workplace, name: str, *more: str) -> list[str]:
    return ["train", str(place.path / "tiny.yaml"), *OVERRIDES, f"name={name}", *more]


def begun(place: Workplace, name: str, *, lines: int) -> Torchrun:
    """A run of two ranks that has written so many lines of figures, and goes on."""
    torchrun = under_torchrun(2, arguments(place, name), place.path / f"torchrun-{name}")
    until = time.monotonic() + 120
    while len(figures_of(place, name)) < lines:
        assert torchrun.process.is_alive() and time.monotonic() < until, torchrun.log.read_text()
        time.sleep(0.005)
    return torchrun


def figures_of(place: Workplace, name: str) -> list[dict[str, float | None]]:
    run = place.path / "runs" / name
    return metrics_of(run) if (run / "metrics.jsonl").exists() else []


def resumed(place: Workplace, name: str) -> None:
    assert len(figures_of(place, name)) < STEPS, "it was cut"
    on_ranks(command, 2, arguments(place, name, "--resume"), place.path / name)
    assert figures_of(place, name) == figures_of(place, "peaceful")
    assert len(figures_of(place, name)) == STEPS


def test_when_a_rank_is_killed_the_run_says_so_and_ends_and_goes_on_to_the_same_figures(place: Workplace) -> None:
    torchrun = begun(place, "killed", lines=EVERY + 2)
    os.kill(torchrun.pid_of(1), signal.SIGKILL)
    assert torchrun.ended() != 0
    said = torchrun.log.read_text()
    assert "another rank of this run has ended" in said and "--resume goes on from the last checkpoint" in said
    assert torchrun.left() == []
    resumed(place, "killed")


@pytest.mark.parametrize("to_torchrun", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "torchrun-killed"])
def test_ranks_end_together_with_a_checkpoint_when_torchrun_does_and_the_run_goes_on(
    place: Workplace, to_torchrun: signal.Signals
) -> None:
    name = to_torchrun.name
    torchrun = begun(place, name, lines=EVERY + 2)
    os.killpg(torchrun.process.pid or 0, to_torchrun)
    assert torchrun.ended() != 0
    until = time.monotonic() + 60
    while torchrun.left() and time.monotonic() < until:
        time.sleep(0.01)
    assert torchrun.left() == []
    said = torchrun.log.read_text()
    done = len(figures_of(place, name))
    assert f"Stopped after {done} of {STEPS} steps" in said and said.count(": ending after this piece") == 1
    assert saved(place, name)[-1] == f"step-{done:06d}"
    resumed(place, name)


def saved(place: Workplace, name: str) -> list[str]:
    checkpoints: Path = place.path / "runs" / name / "checkpoints"
    return sorted(folder.name for folder in checkpoints.glob("step-*"))


def short_of_room(arguments: list[str], log: Path) -> None:
    """The command, where no file of the second rank may grow longer than a few kilobytes."""
    if os.environ["RANK"] == "1":
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.RLIM_INFINITY))
    command(arguments, log)


def test_when_the_disk_refuses_a_rank_its_parts_all_end_with_a_sentence_and_the_run_goes_on(place: Workplace) -> None:
    ranks = started(short_of_room, 2, arguments(place, "full"), place.path / "full")
    for each in ranks:
        each.join(timeout=120)
    said = (place.path / "full-0").read_text() + (place.path / "full-1").read_text()
    assert [each.exitcode for each in ranks] == [1, 1], said
    assert f"the checkpoint of step {EVERY} cannot be written" in said and "rank 1: File too large" in said
    assert "Traceback" not in said
    resumed(place, "full")
