"""A whole launch as a user starts it: servers, a trainer, a server that is killed, and nothing left at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from transformers.utils import logging

from tests.launching.test_supervising import wait_until
from tests.tiny_files import make_workplace, metrics_of
from understudy.launching.process import _MARK

CANARIES = {
    "HF_TOKEN": "hf_canary" + "b" * 24,
    "WANDB_API_KEY": "canary-wandb-0a1b2c3d",
    "TINKER_API_KEY": "tml-canary-5e6f7a8b",
    "GRADER_KEY": "canary-grader-44aa55bb",
    "AWS_SECRET_ACCESS_KEY": "canary/aws+Zz91Yy82Xx73",
    "MY_PASSWORD": "canary-pass-77-x",
    "https_proxy": "http://jane:canary-proxy-31@127.0.0.1:9",
}


@pytest.mark.timeout(900)
def test_servers_and_a_trainer_end_together_though_one_was_killed(tmp_path: Path) -> None:
    logging.disable_progress_bar()
    place = make_workplace(tmp_path)
    place.write_recipe(steps=3, evaluation={}, rollout={"prompts_per_step": 2, "max_completion_length": 4})
    command = [sys.executable, "-m", "understudy", "launch", "tiny.yaml", "--teachers", "1", "--json"]
    launched = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **CANARIES}
    )
    try:
        state = place.run / "launch" / "launch.json"

        def parts() -> dict[str, dict[str, object]]:
            return dict(json.loads(state.read_text())["parts"])

        first = place.run / "metrics.jsonl"
        wait_until(lambda: first.exists() or launched.poll() is not None, seconds=600, pause=0.5)
        assert launched.poll() is None, launched.communicate()[1]
        told = httpx.get(json.loads(state.read_text())["health"] + "/health.json").json()
        assert [part["name"] for part in told["parts"]] == ["teacher-0", "train"]
        pid = parts()["teacher-0"]["pid"]
        assert isinstance(pid, int)
        (key,) = re.findall(rb"UNDERSTUDY_LAUNCH_KEY=([^\0]+)", _read(Path(f"/proc/{pid}/environ")))
        os.kill(pid, signal.SIGKILL)
        out, err = launched.communicate(timeout=600)
    finally:
        launched.kill()
        launched.communicate()
    assert launched.returncode == 0, err
    ended = json.loads(out)
    assert (ended["status"], ended["step"]) == (0, 3) and ended["restarts"] in ({"teacher-0": 1}, {})
    assert len(metrics_of(place.run)) == 3 and (place.run / "summary.json").exists() and not state.exists()
    assert "train | " in err and "summary.json holds the figures" in err
    mark = _MARK.encode()
    left = [
        one for one in Path("/proc").glob("[0-9]*/environ") if mark in _read(one) and str(tmp_path) in _command(one)
    ]
    assert not left
    secrets = [key, b"canary-proxy-31", *(value.encode() for value in CANARIES.values())]
    assert len(key) > 16 and not [word for word in secrets if word in f"{out}{err}{told}".encode()]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 20 and not [file for file in files if any(word in file.read_bytes() for word in secrets)]


def _read(environ: Path) -> bytes:
    try:
        return environ.read_bytes()
    except OSError:
        return b""


def _command(environ: Path) -> str:
    try:
        return (environ.parent / "cmdline").read_text()
    except OSError:
        return ""
