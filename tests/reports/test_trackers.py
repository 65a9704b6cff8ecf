"""Trackers told the figures of real runs, and read back: TensorBoard here, the others where they are installed."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from transformers.utils import logging

import understudy as us
from tests.tiny_files import Workplace, files_of, make_workplace
from understudy.errors import RecipeError
from understudy.recipe import load_recipe, recipe_from
from understudy.recipe.trackers import TrackerName
from understudy.reports.trackers import tracking
from understudy.training import metric_lines
from understudy.training.progress import Silent

KEY = "0123456789abcdef0123456789abcdef01234567"
EVERY = ("tensorboard", "wandb", "trackio")

needs = {name: pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed") for name in EVERY}


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    logging.disable_progress_bar()
    return make_workplace(tmp_path)


class Noted(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def train(place: Workplace, *overrides: str, resume: bool = False) -> list[str]:
    """A run in this process; what the user was told."""
    display = Noted()
    us.train(place.path / "tiny.yaml", overrides, resume=resume, display=display)
    return display.notices


def started(place: Workplace, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own, for trackers that keep threads, processes and settings."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "TRACKIO_"))}
    return subprocess.run(
        [sys.executable, "-m", "understudy", "train", "tiny.yaml", "--json", *arguments],
        cwd=place.path,
        capture_output=True,
        text=True,
        timeout=240,
        env={**plain, "HOME": str(place.path), **environment},
    )


def finished(ended: subprocess.CompletedProcess[str]) -> Mapping[str, object]:
    """The summary: all that is on standard output."""
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def lose_the_last_checkpoint(place: Workplace) -> None:
    shutil.rmtree(place.run / "checkpoints" / "step-000004")


def expected(place: Workplace) -> dict[str, dict[int, float]]:
    """Name -> step -> figure, from the run's own files."""
    lines = [
        *metric_lines.read(place.run / "metrics.jsonl"),
        *metric_lines.read(place.run / "evaluation" / "figures.jsonl"),
    ]
    found: dict[str, dict[int, float]] = {}
    for line in lines:
        for name, value in line.items():
            if name != "step" and value is not None:
                found.setdefault(name, {})[metric_lines.step_of(line)] = value
    return found


def in_tensorboard(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Name -> (step, figure) in the order of the files, as TensorBoard itself shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return {name: [(one.step, one.value) for one in events.Scalars(name)] for name in events.Tags()["scalars"]}


def assert_tensorboard_has_it_once(place: Workplace) -> None:
    shown = in_tensorboard(place.run)
    wanted = expected(place)
    assert set(shown) == set(wanted)
    for name, values in wanted.items():
        assert [step for step, _ in shown[name]] == sorted(values)
        assert [value for _, value in shown[name]] == pytest.approx([values[step] for step in sorted(values)], rel=1e-6)


@needs["tensorboard"]
def test_tensorboard_shows_what_the_run_s_files_hold(place: Workplace) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told = train(place, "report_to=tensorboard")
    assert told == [f"Figures also go to tensorboard: tensorboard --logdir {place.run / 'tensorboard'}"]
    assert_tensorboard_has_it_once(place)
    assert [step for step, _ in in_tensorboard(place.run)["eval/words/mean"]] == [0, 2, 4]

    events = EventAccumulator(str(place.run / "tensorboard"))
    events.Reload()
    (text,) = events.Tensors("recipe/text_summary")[0].tensor_proto.string_val
    written = "\n".join(line.removeprefix("    ") for line in text.decode().splitlines())
    assert recipe_from(yaml.safe_load(written)) == load_recipe(place.run / "recipe.yaml")


@needs["tensorboard"]
def test_a_resumed_run_takes_the_place_of_what_it_repeats(place: Workplace) -> None:
    train(place, "report_to=tensorboard")
    lose_the_last_checkpoint(place)
    told = train(place, "report_to=tensorboard", resume=True)
    assert "Resuming after 2 steps. 2 later steps are done again." in told
    assert len(list((place.run / "tensorboard").iterdir())) == 2
    assert_tensorboard_has_it_once(place)


@needs["tensorboard"]
def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    with tracking(["tensorboard"], path=tmp_path, name="x", config={}, notice=lambda text: None) as (record,):
        record(0, {"loss": 1.0, "gap": math.nan})
        record(1, {"loss": -math.inf, "gap": math.nan})
        record(2, {"loss": 0.5, "gap": 3.0})
    assert in_tensorboard(tmp_path) == {"loss": [(0, 1.0), (2, 0.5)], "gap": [(2, 3.0)]}


@needs["tensorboard"]
def test_a_tracker_that_fails_is_told_once_and_the_run_ends_well(place: Workplace) -> None:
    blocked = place.path / "blocked"
    blocked.mkdir()
    (blocked / "tensorboard").write_text("a file where a folder should be")
    told: list[str] = []
    with tracking(["tensorboard"], path=blocked, name="x", config={}, notice=told.append) as (record,):
        for step in range(3):
            record(step, {"loss": 1.0})
    opened, failed = told
    assert opened.startswith("Figures also go to tensorboard")
    assert failed.startswith("tensorboard takes no more figures: ") and failed.endswith("its folder has them all.")


@pytest.mark.parametrize("name", EVERY)
def test_a_package_that_is_missing_is_one_sentence_before_anything(name: TrackerName, place: Workplace) -> None:
    if find_spec(name) is not None:
        pytest.skip(f"{name} is installed")
    (place.path / name).mkdir()  # as `wandb` itself leaves one: a folder is no package
    before = files_of(place.path)
    with pytest.raises(RecipeError) as refused:
        train(place, f"report_to=[{name}]", "student.model=nowhere")
    assert str(refused.value) == (
        f"report_to names {name}, which is not installed. "
        f"pip install 'understudy[{name}]', or leave it out of report_to."
    )
    assert files_of(place.path) == before and not (place.path / "runs").exists()


def wandb_records(place: Workplace) -> Iterator[object]:
    """Every record of the offline files, session after session; they are LevelDB logs of protocol buffers."""
    from wandb.proto import wandb_internal_pb2

    for file in sorted((place.run / "wandb").glob("offline-run-*/*.wandb")):
        data, at, whole = file.read_bytes(), 7, b""
        while at + 7 <= len(data):
            room = 32768 - at % 32768
            if room < 7:
                at += room
                continue
            _, length, kind = struct.unpack("<IHB", data[at : at + 7])
            whole += data[at + 7 : at + 7 + length]
            at += 7 + length
            if kind in (1, 4):  # a whole record, or the last piece of one
                record = wandb_internal_pb2.Record()
                record.ParseFromString(whole)
                whole = b""
                yield record


@needs["wandb"]
def test_wandb_offline_keeps_one_run_over_two_sessions_and_no_secret(place: Workplace) -> None:
    offline = {"WANDB_MODE": "offline", "WANDB_API_KEY": KEY}
    finished(started(place, "report_to=wandb", **offline))
    lose_the_last_checkpoint(place)
    finished(started(place, "report_to=wandb", "--resume", **offline))

    records = list(wandb_records(place))
    (identity,) = {record.run.run_id for record in records if record.WhichOneof("record_type") == "run"}
    assert identity == json.loads((place.run / "trackers.json").read_text())["id"]
    runs = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert {run.display_name for run in runs} == {"tiny"} and len(runs) == 2
    config = {entry.key: entry.value_json for entry in runs[0].config.update}
    assert json.loads(config["objective"])["method"] == "opd" and json.loads(config["seed"]) == 3
    shown: dict[str, dict[int, float]] = {}
    for record in records:
        for item in record.history.item:
            name = item.key or "/".join(item.nested_key)
            if not name.startswith("_"):
                shown.setdefault(name, {})[record.history.step.num] = json.loads(item.value_json)
    assert shown == {name: pytest.approx(values) for name, values in expected(place).items()}
    assert not [name for name, content in files_of(place.path).items() if KEY.encode() in content]


@needs["wandb"]
def test_wandb_without_a_key_is_a_notice_and_asks_nobody(place: Workplace) -> None:
    ended = started(place, "report_to=wandb")
    assert finished(ended)["steps"] == 4
    assert ended.stderr.count("wandb takes no more figures: no API key. Set WANDB_API_KEY") == 1


@needs["trackio"]
def test_trackio_keeps_one_run_over_two_sessions(place: Workplace) -> None:
    kept = str(place.path / "kept")
    finished(started(place, "report_to=trackio", TRACKIO_DIR=kept))
    lose_the_last_checkpoint(place)
    finished(started(place, "report_to=trackio", "--resume", TRACKIO_DIR=kept))
    name = f"tiny-{json.loads((place.run / 'trackers.json').read_text())['id']}"

    def asked(*question: str) -> dict[str, object]:
        command = [str(Path(sys.executable).parent / "trackio"), *question, "--project", "understudy", "--json"]
        environment = {**os.environ, "TRACKIO_DIR": kept, "HOME": str(place.path)}
        return json.loads(subprocess.run(command, capture_output=True, check=True, env=environment).stdout)

    assert asked("list", "runs")["runs"] == [name]
    for metric in ("loss", "eval/words/mean"):
        values = asked("get", "metric", "--run", name, "--metric", metric)["values"]
        assert isinstance(values, list)
        assert {one["step"]: one["value"] for one in values} == pytest.approx(expected(place)[metric])
