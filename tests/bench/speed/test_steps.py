"""Real steps of the smallest size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from understudy.bench.speed import loss_memory
from understudy.bench.speed.phases import PHASES
from understudy.bench.speed.step_job import Measured, StepJob, job_of
from understudy.bench.speed.workload import SIZES, size_from, sizes_named, write_workload
from understudy.errors import UserMistakeError


def child(module: str, arguments: dict) -> dict:
    """What one process of the benchmark prints."""
    command = [sys.executable, "-m", "understudy.bench.speed.child", module, json.dumps(arguments)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout.splitlines()[-1])


@pytest.mark.timeout(580)
def test_our_side_runs_real_steps_whose_phases_are_ranges_of_the_trace(mini: Path, tmp_path: Path):
    file = tmp_path / "trace.json"
    job = StepJob(str(mini), SIZES["mini"], "ours", "gkd-float32", steps=2, trace=str(file))
    found = Measured(**child("step_job", job.to_json()))
    assert found.tokens == 4 * 6  # nothing stops a completion
    busy = ("sample", "teacher", "forward", "loss", "backward", "optimizer")
    assert all(found.seconds[name] > 0 for name in busy)
    assert 0.5 < sum(found.seconds[name] for name in PHASES) / found.total < 1.5  # medians over two steps
    assert found.peak_mib > found.memory_mib > 0
    ranges = [event for event in json.loads(file.read_text())["traceEvents"] if event.get("cat") == "user_annotation"]
    counts = {name: sum(event["name"] == name for event in ranges) for name in busy}
    assert counts == dict.fromkeys(busy, 1)  # one step, not three
    long = {event["name"]: event["dur"] for event in ranges}
    assert long["loss"] > long["forward"] > 0  # the one lies in the other


def test_a_job_survives_json():
    job = StepJob("folder", SIZES["mini"], "peer", "gkd-float32", steps=2, clock="cpu")
    assert job_of(json.loads(json.dumps(job.to_json()))["job"]) == job
    assert size_from(json.loads(json.dumps(SIZES["S"].__dict__))) == SIZES["S"]


def test_the_same_size_gives_the_same_files(mini: Path, tmp_path: Path):
    write_workload(tmp_path, SIZES["mini"])
    for name in ("prompts.jsonl", "student/model.safetensors", "teacher/model.safetensors"):
        assert (tmp_path / name).read_bytes() == (mini / name).read_bytes()
    assert (mini / "student/model.safetensors").read_bytes() != (mini / "teacher/model.safetensors").read_bytes()


@pytest.mark.parametrize("text", ["B33", "S,b-152", ""])
def test_an_unknown_size_is_answered_with_the_nearest(text: str):
    with pytest.raises(UserMistakeError) as caught:
        sizes_named(text)
    assert "B32" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("loss", loss_memory.LOSSES)
def test_both_sides_of_the_memory_benchmark_compute_the_same_loss(loss: str, monkeypatch):
    monkeypatch.setattr(loss_memory, "VOCABULARY", 64)
    monkeypatch.setattr(loss_memory, "WIDTH", 32)
    monkeypatch.setattr(loss_memory, "CHUNK_ROWS", 3)
    torch.manual_seed(0)
    student, teacher = loss_memory.small_head(), loss_memory.small_head()
    states, ids = torch.randn(8, 32), torch.randint(64, (8,))
    grads = []
    for evaluate in (loss_memory.through_the_head, loss_memory.naive):
        hidden = torch.linspace(-2, 2, 8 * 32).view(8, 32).requires_grad_()
        evaluate(loss, student, teacher, hidden, states, ids).backward()
        grads.append(hidden.grad)
    assert grads[1].abs().max() > 1e-4
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-7)
