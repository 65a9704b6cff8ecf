"""A run whose teacher is behind a server: the figures of a teacher in this process, whatever befalls the server."""

from __future__ import annotations

import math
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from tests.serving.served import served_model
from tests.tiny_files import Workplace, make_workplace, metrics_of, save_model
from understudy.errors import CapabilityError, ServerDownError, TokenizerMismatchError, UnderstudyError
from understudy.training import metric_lines

pytestmark = pytest.mark.timeout(300)

QUIET = {"evaluation": {"suites": [], "teacher": False}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_workplace(tmp_path_factory.mktemp("served"))


@contextmanager
def teacher_at(place: Workplace, **settings: Any) -> Iterator[str]:
    with served_model(place.path / "teacher", max_logprobs=-1, **settings) as url:
        yield url


def trained(place: Workplace, name: str, **changes: Any) -> list[dict[str, float | None]]:
    file = place.write_recipe(f"{name}.yaml", name=name, **{**QUIET, **changes})
    us.train(file)
    return metrics_of(place.path / "runs" / name)


def assert_alike(mine: list[dict[str, float | None]], theirs: list[dict[str, float | None]]) -> None:
    assert len(mine) == len(theirs) > 0
    for one, other in zip(mine, theirs, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            expected = other[name]
            assert (value is None) == (expected is None), name
            if value is not None and expected is not None:
                # AdamW's first steps make as much of a gradient near zero, which is rounding, as of a large one.
                assert math.isclose(value, expected, rel_tol=1e-3, abs_tol=2e-5), (name, value, expected)


METHODS: Mapping[str, Mapping[str, Any]] = {
    "sampled token": {"method": "opd"},
    "chosen ids": {"method": "local_support", "top_k": 4},
    "full vocabulary, from hidden states": {"method": "gkd"},
}


@pytest.mark.parametrize("kind", METHODS)
def test_the_figures_are_those_of_the_teacher_in_this_process(place: Workplace, kind: str) -> None:
    number = list(METHODS).index(kind)
    local = trained(place, f"local-{number}", objective=METHODS[kind], steps=3)
    with teacher_at(place) as url:
        served = trained(place, f"served-{number}", objective=METHODS[kind], steps=3, teacher={"server": url})
    assert_alike(served, local)


def test_a_hot_student_routes_and_a_served_reference(place: Workplace) -> None:
    rollout = {"prompts_per_step": 4, "num_generations": 2, "max_completion_length": 8, "temperature": 0.7}
    changes = {"rollout": rollout, "steps": 2, "objective": {"method": "kdrl"}}
    folder = str(place.path / "teacher")
    local = {"teacher": {"routes": {"problems": {"model": folder}}}, "reference": {"model": folder}}
    expected = trained(place, "all-local", **changes, **local)
    with teacher_at(place) as url:
        served = {"teacher": {"routes": {"problems": {"server": [url]}}}, "reference": {"server": url}}
        assert_alike(trained(place, "all-served", **changes, **served), expected)


@contextmanager
def served_process(place: Workplace, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``understudy serve`` in a process of its own, once it answers."""
    ready = log.with_suffix(".ready")
    command = [sys.executable, "-m", "understudy", "serve", str(place.path / "teacher"), "--max-logprobs", "-1"]
    command += ["--port", str(port), "--ready-file", str(ready), "--device", "cpu"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until = time.monotonic() + 200
        while not ready.exists():
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_steps(run: Path, count: int) -> int:
    """How many steps the run has done, once they are at least so many."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if (run / "metrics.jsonl").exists() and len(metric_lines.read(run / "metrics.jsonl")) >= count:
            break
        time.sleep(0.01)
    return len(metric_lines.read(run / "metrics.jsonl"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.timeout(550)
def test_a_server_killed_and_started_again_costs_nothing_but_time(
    place: Workplace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real process, killed without a word in the middle of the run and started again on its port."""
    steps, port, done = 60, free_port(), []
    changes = {**QUIET, "steps": steps, "checkpoint": {"every": steps}}
    expected = trained(place, "undisturbed", **changes)

    def disturb(server: subprocess.Popen[bytes], over: threading.Event) -> None:
        done.append(wait_for_steps(place.path / "runs" / "disturbed", 3))
        server.send_signal(signal.SIGKILL)
        server.wait()
        with served_process(place, port, tmp_path / "second.log"):
            over.wait()

    with served_process(place, port, tmp_path / "first.log") as server:
        over = threading.Event()
        hand = threading.Thread(target=disturb, args=(server, over))
        hand.start()
        try:
            teacher = {"server": f"http://127.0.0.1:{port}", "deadline_seconds": 250.0}
            disturbed = trained(place, "disturbed", teacher=teacher, **changes)
        finally:
            over.set()
            hand.join()
    assert 3 <= done[0] < steps, "it was killed while the run was under way"
    assert "does not answer" in caplog.text and "answers again" in caplog.text
    assert_alike(disturbed, expected)


def test_a_server_that_stays_dead_ends_the_run_with_a_checkpoint(place: Workplace) -> None:
    stack = teacher_at(place)
    url = stack.__enter__()
    teacher = {"server": url, "deadline_seconds": 0.5}
    file = place.write_recipe("dying.yaml", name="dying", teacher=teacher, **{**QUIET, "steps": 4000})
    run = place.path / "runs" / "dying"

    def kill() -> None:
        until = time.monotonic() + 60
        while not (run / "metrics.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.02)
        stack.__exit__(None, None, None)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ServerDownError, match=r"does not answer, after 0\.5 s.*--resume"):
        us.train(file)
    killer.join()
    done = len(metrics_of(run))
    assert done >= 1
    assert (run / "checkpoints" / f"step-{done:06d}").is_dir()


def refused(place: Workplace, kind: type[UnderstudyError], said: str, **changes: Any) -> None:
    file = place.write_recipe("refused.yaml", name="refused", **{**QUIET, **changes})
    begun = time.monotonic()
    with pytest.raises(kind, match=said) as caught:
        us.train(file)
    assert "\n" not in str(caught.value) and caught.value.remedy
    assert time.monotonic() - begun < 30
    assert not list((place.path / "runs" / "refused").glob("metrics.jsonl"))


def test_what_cannot_teach_is_refused_before_the_first_step(place: Workplace) -> None:
    save_model(place.path / "stranger", seed=1)
    from tests.conformance.tiny import tiny_tokenizer

    tiny_tokenizer(swapped=True).save_pretrained(place.path / "stranger")
    with served_model(place.path / "stranger") as url:
        refused(place, TokenizerMismatchError, "another tokenizer than the student", teacher={"server": url})
    with served_model(place.path / "teacher", max_logprobs=3) as url:
        objective = {"method": "local_support", "top_k": 8}
        refused(place, CapabilityError, "8", teacher={"server": url}, objective=objective)
    refused(place, ServerDownError, "no connection", teacher={"server": f"http://127.0.0.1:{free_port()}"})
