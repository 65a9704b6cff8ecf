"""A run that pushes whole weights to ``understudy serve`` in a process of its own, killed on the way and started anew.

Two more processes that import torch: ``UNDERSTUDY_FULL_LOOP=1`` runs it. In one process test_pushing.py has the same.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import understudy as us
from tests.servers.test_sampling import QUIET, ROLLOUT, assert_alike
from tests.tiny_files import make_workplace, metrics_of
from understudy.launching.ports import free_ports
from understudy.training.progress import Silent

pytestmark = [
    pytest.mark.timeout(500),
    pytest.mark.skipif(not os.environ.get("UNDERSTUDY_FULL_LOOP"), reason="set UNDERSTUDY_FULL_LOOP=1"),
]


class Served:
    """One server, in a process that can be killed."""

    def __init__(self, model: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        words = ["serve", str(model), "--port", str(port), "--threads", "1", "--allow-updates"]
        self._command = [sys.executable, "-m", "understudy", *words]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        until = time.monotonic() + 200
        while time.monotonic() < until:
            assert self._process is not None and self._process.poll() is None, "the server did not start"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            time.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Killing(Silent):
    """Kills the server after the second step; it comes back while the run goes on."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def step(self, done: int, figures: Any) -> None:
        if done == 2:
            self._served.kill()
            self._served.start()


def test_a_killed_server_comes_back_and_the_figures_are_those_of_one_process(tmp_path: Path) -> None:
    place = make_workplace(tmp_path)
    us.train(place.write_recipe("local.yaml", name="local", **QUIET, rollout=ROLLOUT), display=Silent())
    port = free_ports(["served"])["served"]
    served = Served(tmp_path / "student", port)
    served.start()
    try:
        served.wait()
        rollout = {**ROLLOUT, "server": served.url, "weights": "nccl"}
        file = place.write_recipe("pushed.yaml", name="pushed", **QUIET, rollout=rollout)
        us.train(file, display=Killing(served))
    finally:
        served.kill()
    local, pushed = metrics_of(tmp_path / "runs" / "local"), metrics_of(tmp_path / "runs" / "pushed")
    assert len(pushed) == 4 and pushed[0]["loss"] != pushed[3]["loss"]
    assert_alike(pushed, local)
    assert not (tmp_path / "runs" / "pushed" / "weights").exists()
