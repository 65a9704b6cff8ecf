"""``understudy serve`` in a process of its own: its address, its end, and the mistakes one can make."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from transformers.utils import logging

from tests.cli.conftest import Understudy, understudy  # noqa: F401  (a fixture)
from tests.serving.asking import generate
from tests.tiny_files import save_model

KEY = "swordfish-and-more"


@dataclass(frozen=True)
class Started:
    """A server in a process."""

    process: subprocess.Popen[str]
    url: str
    ready: Path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "model"
    logging.disable_progress_bar()  # as the command line does, but too late in a process that has them imported
    save_model(folder, seed=0)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 4096}))
    return folder


@contextmanager
def started(model: Path, folder: Path, *options: str) -> Iterator[Started]:
    """The command with ``--port 0``, once its ready file is there; killed if it still runs at the end."""
    ready = folder / "ready"
    command = [sys.executable, "-m", "understudy", "serve", str(model), "--port", "0", "--ready-file", str(ready)]
    process = subprocess.Popen(
        [*command, "--threads", "1", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SERVE_KEY": KEY},
    )
    try:
        deadline = time.monotonic() + 200
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Started(process, ready.read_text().strip(), ready)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(300)
def test_a_signal_ends_it_once_what_runs_is_answered(model: Path, tmp_path: Path) -> None:
    options = ("--api-key-env", "SERVE_KEY", "--served-model-name", "teacher", "--max-model-len", "800")
    with started(model, tmp_path, *options) as server, ThreadPoolExecutor(1) as pool:
        headers = {"Authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
            (entry,) = client.get("/v1/models").json()["data"]
            assert (entry["id"], entry["max_model_len"]) == ("teacher", 800)
            running = pool.submit(generate, client, [2, 3], n=4, max_tokens=250, ignore_eos=True)
            while "understudy_running_requests 1.0" not in client.get("/metrics").text:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            assert [len(choice["token_ids"]) for choice in running.result()["choices"]] == [250] * 4
        out, err = server.process.communicate(timeout=30)
        assert server.process.returncode == 0, err
        assert not server.ready.exists()
        assert server.url in out and "teacher" in out and KEY not in out + err
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/health")


def refused(ended: object, *words: str) -> None:
    """One sentence on standard error and exit code 2."""
    assert ended.code == 2, ended.err
    assert ended.err.startswith("understudy: ") and ended.err.count("\n") == 1 and ended.out == ""
    for word in words:
        assert word in ended.err


def test_a_port_in_use(understudy: Understudy, model: Path) -> None:  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused(understudy("serve", model, "--port", port), f"port {port}", "in use", "--port")


def test_mistakes_are_one_sentence(
    understudy: Understudy,  # noqa: F811
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    refused(understudy("serve", tmp_path / "nowhere", "--port", 0), "no model at")
    refused(understudy("serve", "testbed/no-such", "--port", 0), "no-such")
    refused(understudy("serve", model, "--port", 0, "--api-key-env", "NO_SUCH_KEY"), "NO_SUCH_KEY", "holds no API key")
    refused(understudy("serve", model, "--port", 0, "--dtype", "int3"), "dtype", "int3", "bfloat16")
    refused(understudy("serve", model, "--port", 0, "--device", "abacus"), "abacus")
    refused(understudy("serve", model, "--port", 0, "--max-model-len", 4097), "--max-model-len", "4097", "4096")
    refused(understudy("serve", model, "--port", 70000), "--port", "65535")
    refused(understudy("serve", model, "--port", 0, "--max-logprobs", -2), "--max-logprobs")
    refused(understudy("serve", model, "--port", 0, "--host", "no.such.host.invalid"), "no.such.host.invalid")
