"""A run that exists: refused, gone on with, repaired, finished."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.cli.conftest import Understudy
from tests.cli.test_mistakes import assert_is_refused
from tests.tiny_files import Workplace, files_of, metrics_of
from understudy.training import checkpoint


@pytest.fixture
def finished(place: Workplace, understudy: Understudy) -> Workplace:
    assert understudy("train", "tiny.yaml").code == 0
    return place


def final_weights(run: Path, step: int = 4) -> bytes:
    return (run / "checkpoints" / f"step-{step:06d}" / "model" / "model.safetensors").read_bytes()


def summary_of(run: Path) -> dict[str, object]:
    """All but the seconds."""
    content = json.loads((run / "summary.json").read_text())
    del content["seconds"]
    return content


def test_a_run_that_exists_is_not_touched(finished: Workplace, understudy: Understudy) -> None:
    before = files_of(finished.run)
    assert_is_refused(understudy("train", "tiny.yaml"), "runs/tiny exists", "--resume", "name=")
    assert_is_refused(understudy("train", "tiny.yaml", "steps=9", "seed=8"), "runs/tiny exists")
    assert files_of(finished.run) == before


def test_resume_with_a_changed_recipe_names_the_fields(finished: Workplace, understudy: Understudy) -> None:
    before = files_of(finished.run)
    changes = ["optimizer.learning_rate=0.5", "rollout.num_generations=3", "data.limit=5"]
    ended = understudy("train", "tiny.yaml", "--resume", *changes)
    assert_is_refused(ended, "optimizer.learning_rate: 0.01 -> 0.5", "rollout.num_generations: 2 -> 3")
    assert_is_refused(ended, "data.limit: null -> 5", "name=")
    assert files_of(finished.run) == before


def test_a_run_goes_on_to_more_steps_as_one_of_so_many_from_its_start(
    finished: Workplace, understudy: Understudy
) -> None:
    longer, whole = finished.run, finished.path / "runs" / "whole"
    ended = understudy("train", "tiny.yaml", "steps=7", "--resume", "--json")
    assert ended.code == 0 and "began with 4 steps and goes on to 7" in ended.err
    assert "Resuming after 4 steps." in ended.err
    assert understudy("train", "tiny.yaml", "steps=7", "name=whole").code == 0
    assert metrics_of(longer) == metrics_of(whole) and len(metrics_of(whole)) == 7
    assert final_weights(longer, 7) == final_weights(whole, 7)
    state = "checkpoints/step-000007/trainer.safetensors"
    found, expected = files_of(longer), files_of(whole)
    assert found[state] == expected[state] and set(found) == set(expected)
    assert found["evaluation/figures.jsonl"] == expected["evaluation/figures.jsonl"]
    assert json.loads(ended.out)["steps"] == 7 and summary_of(longer)["suites"] == summary_of(whole)["suites"]
    assert b"<dd>7</dd>" in found["report.html"] and b"\nsteps: 7\n" in found["recipe.yaml"]


def test_a_run_does_not_go_back(finished: Workplace, understudy: Understudy) -> None:
    before = files_of(finished.run)
    ended = understudy("train", "tiny.yaml", "steps=3", "--resume")
    assert_is_refused(ended, "cannot go back", "steps: 3, of a run that has done 4", "at least 4")
    assert files_of(finished.run) == before


def test_what_depends_on_the_number_of_steps_keeps_a_run_to_it(finished: Workplace, understudy: Understudy) -> None:
    file = finished.run / "recipe.yaml"
    file.write_text(file.read_text().replace("schedule: constant", "schedule: linear"))
    before = files_of(finished.run)
    ended = understudy("train", "tiny.yaml", "optimizer.schedule=linear", "steps=9", "--resume")
    assert_is_refused(ended, "steps: 4 -> 9, with optimizer.schedule: 'linear'", "steps=4", "student.model=FOLDER")
    assert files_of(finished.run) == before


def test_resume_without_a_run_begins_one_and_says_so(place: Workplace, understudy: Understudy) -> None:
    ended = understudy("train", "tiny.yaml", "--resume")
    assert ended.code == 0
    assert "nothing to resume" in ended.err
    assert len(metrics_of(place.run)) == 4


def test_resume_of_a_folder_that_is_no_run(place: Workplace, understudy: Understudy) -> None:
    place.run.mkdir(parents=True)
    (place.run / "thesis.txt").write_text("mine")
    assert_is_refused(understudy("train", "tiny.yaml", "--resume"), "holds other files and no run")
    assert (place.run / "thesis.txt").read_text() == "mine"


def test_resume_of_a_finished_run_shows_its_summary_again(finished: Workplace, understudy: Understudy) -> None:
    before, summary = files_of(finished.run), summary_of(finished.run)
    ended = understudy("train", "tiny.yaml", "--resume", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["suites"] == summary["suites"]
    after = files_of(finished.run)
    assert summary_of(finished.run) == summary
    told = {"summary.json", "report.html", "environment.json"}  # the seconds, and that there was another session
    assert {name: content for name, content in after.items() if name not in told} == {
        name: content for name, content in before.items() if name not in told
    }
    assert "words" in understudy("train", "tiny.yaml", "--resume").out


def flip_a_bit(folder: Path) -> None:
    file = folder / "trainer.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut_the_model_short(folder: Path) -> None:
    file = folder / "model" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])


def lose_a_file(folder: Path) -> None:
    (folder / "trainer.json").unlink()


def lose_the_manifest(folder: Path) -> None:
    (folder / checkpoint.MANIFEST).unlink()


DAMAGES = {"a bit": flip_a_bit, "cut": cut_the_model_short, "lost file": lose_a_file, "no manifest": lose_the_manifest}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_corrupted_checkpoint_falls_back_to_the_last_good_one(
    damage: str, finished: Workplace, understudy: Understudy
) -> None:
    metrics, weights, summary = metrics_of(finished.run), final_weights(finished.run), summary_of(finished.run)
    DAMAGES[damage](finished.run / "checkpoints" / "step-000004")
    ended = understudy("train", "tiny.yaml", "--resume")
    assert ended.code == 0
    assert "The checkpoint of step 4 cannot be used: " in ended.err
    assert "Resuming after 2 steps. 2 later steps are done again." in ended.err
    assert metrics_of(finished.run) == metrics
    assert final_weights(finished.run) == weights
    assert summary_of(finished.run) == summary


def test_no_checkpoint_can_be_read(finished: Workplace, understudy: Understudy) -> None:
    for folder in (finished.run / "checkpoints").iterdir():
        flip_a_bit(folder)
    before = files_of(finished.run)
    ended = understudy("train", "tiny.yaml", "--resume")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("understudy: no checkpoint in")
    assert "step 4" in ended.err
    assert "step 2" in ended.err
    assert "Traceback" not in ended.err
    del before["environment.json"]
    assert {name: content for name, content in files_of(finished.run).items() if name in before} == before


def test_resume_without_any_checkpoint_begins_anew(finished: Workplace, understudy: Understudy) -> None:
    metrics, weights = metrics_of(finished.run), final_weights(finished.run)
    shutil.rmtree(finished.run / "checkpoints")
    assert understudy("train", "tiny.yaml", "--resume").code == 0
    assert metrics_of(finished.run) == metrics
    assert final_weights(finished.run) == weights


def started(place: Workplace, *overrides: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "understudy", "train", "tiny.yaml", *overrides]
    return subprocess.Popen(command, cwd=place.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(run: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Return when the run has so many lines of metrics; fail with what the process said when it ends before."""
    while len(metrics_of(run)) < count:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def test_ctrl_c_ends_the_run_with_a_checkpoint_and_resume_gives_the_same(
    place: Workplace, understudy: Understudy
) -> None:
    overrides = ["steps=30", "evaluation.every=0", "checkpoint.every=50"]
    process = started(place, *overrides)
    wait_for_lines(place.run, 2, process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "--resume" in err
    assert out == ""
    assert not (place.run / "summary.json").exists()
    done = len(metrics_of(place.run))
    assert f"<dd>{done} of 30</dd>" in (place.run / "report.html").read_text()
    assert checkpoint.steps_of(place.run / "checkpoints") == [done]
    resumed = understudy("train", "tiny.yaml", "--resume", *overrides)
    assert resumed.code == 0
    assert f"Resuming after {done} step" in resumed.err
    assert understudy("train", "tiny.yaml", "name=peaceful", *overrides).code == 0
    peaceful = place.path / "runs" / "peaceful"
    assert metrics_of(place.run) == metrics_of(peaceful)
    final = "checkpoints/step-000030/model/model.safetensors"
    found, expected = load_file(place.run / final), load_file(peaceful / final)
    assert all(found[name].equal(expected[name]) for name in expected)


def test_two_processes_do_not_write_one_run(finished: Workplace, understudy: Understudy) -> None:
    before = files_of(finished.run)
    with (finished.run / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as another process at work in the run holds it
        assert_is_refused(understudy("train", "tiny.yaml", "--resume"), "another process is at work in")
    assert files_of(finished.run) == before
    assert understudy("train", "tiny.yaml", "--resume").code == 0
