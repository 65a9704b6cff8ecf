"""Trackers whose server is lost, or that never come back: told once, soon, and the run goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.hardening.hostile_server import HostileServer, Request
from understudy.reports.trackers import opening, tracking

REPOSITORY = Path(__file__).parents[2]
KEY = "0123456789abcdef0123456789abcdef01234567"
SESSION = """
import os, signal, sys, time
from pathlib import Path
from understudy.reports.trackers import tracking, weights_and_biases
weights_and_biases._PATIENCE_SECONDS = float(sys.argv[3])
with tracking([sys.argv[1]], path=Path(sys.argv[2]), name="x", config={}, notice=print) as (record,):
    for step in range(3):
        record(step, {"loss": 1.0})
        if sys.argv[4:] == ["kill"] and step == 0:
            children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
            for child in {int(id) for file in children for id in file.read_text().split()}:
                if "wandb-core" in Path(f"/proc/{child}/cmdline").read_text():
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.5)
print("the run has ended")
"""
"""What a run does with its tracker, without the run: tracker, folder, patience, deed."""


def session(
    name: str, folder: Path, *deeds: str, patience: float = 2.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "TRACKIO_"))}
    plain |= {"HOME": str(folder), "TRACKIO_DIR": str(folder / "kept"), **environment}
    command = [sys.executable, "-c", SESSION, name, str(folder), str(patience), *deeds]
    return subprocess.run(command, env=plain, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)


class Stuck:
    """A tracker that does not come back from one of its methods."""

    where = "nowhere"
    never = threading.Event()

    def __init__(self, within: str) -> None:
        self._within = within
        self.begun: list[str] = []
        self._do("init")

    def record(self, step: int, figures: Mapping[str, float]) -> None:
        self._do("record")

    def close(self) -> None:
        self._do("close")

    def _do(self, deed: str) -> None:
        self.begun.append(deed)
        if deed == self._within:
            self.never.wait(20.0)


@pytest.mark.parametrize("within", ["init", "record", "close"])
def test_a_tracker_that_does_not_come_back_is_left_alone(
    within: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Stuck] = []

    def opened(_: object) -> Stuck:
        made.append(Stuck(within))
        return made[-1]

    monkeypatch.setattr(opening, "MOST_SECONDS", 0.2)
    monkeypatch.setattr(opening, "TRACKERS", {"trackio": opened})
    told: list[str] = []
    with tracking(["trackio"], path=tmp_path, name="x", config={}, notice=told.append) as (record,):
        for step in range(3):
            record(step, {"loss": 1.0})
    lost = [sentence for sentence in told if "takes no more figures" in sentence]
    assert lost == ["trackio takes no more figures: no answer in 0.2 s. The run goes on; its folder has them all."]
    assert not made or made[0].begun.count("record") == (1 if within == "record" else 3)


def begins_well(request: Request) -> bytes | None:
    """What W&B's server says while a run begins; nothing of its figures."""
    if "file_stream" in request.path or b"CreateRunFiles" in request.body:
        return None
    project = {"id": "p", "name": "understudy", "entity": {"id": "e", "name": "me"}}
    bucket = {"id": "b", "name": "abc", "displayName": "x", "config": "{}", "project": project, "historyLineCount": 0}
    viewer = {"id": "v", "entity": "me", "username": "me", "flags": "{}", "teams": {"edges": []}}
    return json.dumps({"data": {"viewer": viewer, "upsertBucket": {"bucket": bucket, "inserted": True}}}).encode()


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_a_wandb_server_that_falls_silent_is_told_of(tmp_path: Path) -> None:
    with HostileServer("silence", well=begins_well) as server:
        url = server.url
        ended = session("wandb", tmp_path, WANDB_BASE_URL=url, WANDB_API_KEY=KEY)
    first, lost, last = ended.stdout.splitlines()
    assert first == f"Figures also go to wandb: {url}/me/understudy/runs/abc"
    assert lost == (
        f"wandb takes no more figures: {url} did not take the last of them in 2 s. "
        f"`wandb sync {tmp_path}/wandb/run-*` sends them. The run goes on; its folder has them all."
    )
    assert last == "the run has ended" and "Traceback" not in ended.stderr and ended.returncode == 0


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_a_wandb_process_that_is_killed_is_told_of_once_and_not_asked_again_at_the_end(tmp_path: Path) -> None:
    ended = session("wandb", tmp_path, "kill", WANDB_MODE="offline")
    lost = [line for line in ended.stdout.splitlines() if "takes no more figures" in line]
    assert len(lost) == 1 and "its own process, wandb-core, has ended" in lost[0]
    assert "the run has ended" in ended.stdout and "Traceback" not in ended.stderr and ended.returncode == 0


@pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")
def test_a_trackio_server_that_refuses_is_told_of_in_sentences(tmp_path: Path) -> None:
    """Without the token of its address, and without what Python prints of a warning."""
    with HostileServer("refused") as server:
        url = server.url
        ended = session("trackio", tmp_path, TRACKIO_SERVER_URL=f"{url}/?write_token=canary-1f2e3d")
    first, lost, last = (line for line in ended.stdout.splitlines() if not line.startswith("*"))
    assert first == f"Figures also go to trackio: {url}, which does not answer yet; they are kept until it does"
    assert lost.startswith(f"trackio takes no more figures: {url} did not take all of them; got Some logs")
    assert last == "the run has ended" and ended.returncode == 0
    assert "Warning" not in ended.stderr and "canary" not in ended.stdout + ended.stderr
