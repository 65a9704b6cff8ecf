"""Kill -9 at a random moment, ``--resume``, and the run is the one that nobody killed.

``UNDERSTUDY_KILL_REPEATS=50`` kills as often; ``python -m benchmarks.kill_resume`` does it with the testbed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time

import pytest
from benchmarks.kill_resume import metrics_of, same_weights
from transformers.utils import logging

import understudy as us
from tests.tiny_files import Workplace, files_of, make_workplace
from understudy.training.progress import Silent

REPEATS = int(os.environ.get("UNDERSTUDY_KILL_REPEATS", "3"))
OVERRIDES = ["steps=12", "evaluation.every=5", "checkpoint.every=3"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A workplace in which the run ``peaceful`` has ended."""
    logging.disable_progress_bar()
    place = make_workplace(tmp_path_factory.mktemp("kill"))
    us.train(place.path / "tiny.yaml", [*OVERRIDES, "name=peaceful"], display=Silent())
    return place


def killed(place: Workplace, name: str, *, lines: int, more_seconds: float) -> tuple[int, str]:
    """Start a run in a process of its own, kill it some time after so many lines of metrics; exit status and stderr."""
    command = [sys.executable, "-m", "understudy", "train", "tiny.yaml", *OVERRIDES, f"name={name}"]
    process = subprocess.Popen(command, cwd=place.path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    run = place.path / "runs" / name
    while process.poll() is None and (not run.exists() or len(metrics_of(run)) < lines):
        time.sleep(0.002)
    time.sleep(more_seconds)
    process.kill()
    _, err = process.communicate()
    return process.returncode, err


@pytest.mark.parametrize("seed", range(REPEATS))
def test_a_killed_run_goes_on_to_the_same_numbers(place: Workplace, seed: int) -> None:
    moments = random.Random(seed)
    # Seed 0 dies before its first step, the others anywhere up to the last.
    lines = moments.randrange(1, 12) if seed else 0
    name = f"cut-{seed}"
    status, err = killed(place, name, lines=lines, more_seconds=moments.uniform(0, 0.05))
    run, peaceful = place.path / "runs" / name, place.path / "runs" / "peaceful"
    assert status == -9, f"it ended by itself: {err}"
    assert not (run / "summary.json").exists()
    us.train(place.path / "tiny.yaml", [*OVERRIDES, f"name={name}"], resume=True, display=Silent())
    assert len(metrics_of(run)) == 12
    assert metrics_of(run) == metrics_of(peaceful)
    assert same_weights(run, peaceful)
    evaluations = files_of(peaceful / "evaluation")
    assert files_of(run / "evaluation") == evaluations
    assert {file.name for file in (run / "rollouts").iterdir()} == {
        file.name for file in (peaceful / "rollouts").iterdir()
    }
    assert [entry for entry in run.rglob("*") if "writing" in entry.name] == [], "no half-written file is left"


def test_another_seed_is_another_run(place: Workplace) -> None:
    """The comparison above can fail."""
    us.train(place.path / "tiny.yaml", [*OVERRIDES, "name=other", "seed=4"], display=Silent())
    other, peaceful = place.path / "runs" / "other", place.path / "runs" / "peaceful"
    assert metrics_of(other) != metrics_of(peaceful)
    assert not same_weights(other, peaceful)
