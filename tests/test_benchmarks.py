from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from benchmarks import loss_memory
from benchmarks.compare import ratios
from benchmarks.measure import Measured
from benchmarks.phases import Phases
from benchmarks.workload import SIZES, write_workload

ROOT = Path(__file__).parents[1]


def test_our_side_runs_real_steps_and_its_phases_add_up(tmp_path):
    write_workload(tmp_path / "mini", SIZES["mini"])
    command = [sys.executable, "-m", "benchmarks.measure", str(tmp_path / "mini"), "mini", "ours", "opd-float32"]
    shown = subprocess.run([*command, "--steps", "2"], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert shown.returncode == 0, shown.stderr
    found = Measured(**json.loads(shown.stdout.splitlines()[-1]))
    assert found.tokens == 4 * 6  # nothing stops a completion
    parts = {name: seconds for name, seconds in found.seconds.items() if name != "total"}
    assert all(parts[name] > 0 for name in ("sample", "teacher", "forward", "loss", "backward", "optimizer"))
    assert 0.5 < sum(parts.values()) / found.seconds["total"] < 1.5  # medians over two steps


def test_a_phase_leaves_out_what_is_inside_it():
    phases = Phases()
    with phases.step():
        time.sleep(0.01)
        phases.timed("loss", lambda: (time.sleep(0.02), phases.timed("forward", time.sleep)(0.03)))()
    (step,) = phases.steps
    assert step["total"] == pytest.approx(step["rest"] + step["loss"] + step["forward"])
    assert step["forward"] >= 0.03 and step["loss"] >= 0.02 and step["rest"] >= 0.01
    assert step["loss"] < step["total"] - 0.035


def test_ratios_are_taken_within_a_round():
    mine = [Measured({"total": seconds}, 1, 0) for seconds in (1.0, 2.0, 4.0)]
    theirs = [Measured({"total": seconds}, 1, 0) for seconds in (3.0, 4.0, 20.0)]
    assert ratios(mine, theirs) == (3.0, 2.0, 5.0)


@pytest.mark.parametrize("loss", loss_memory.LOSSES)
def test_both_sides_of_the_memory_benchmark_compute_the_same_loss(loss, monkeypatch):
    monkeypatch.setattr(loss_memory, "VOCABULARY", 64)
    monkeypatch.setattr(loss_memory, "WIDTH", 32)
    monkeypatch.setattr(loss_memory, "CHUNK_ROWS", 3)
    torch.manual_seed(0)
    student, teacher = loss_memory._head(), loss_memory._head()
    states, ids = torch.randn(8, 32), torch.randint(64, (8,))
    grads = []
    for evaluate in (loss_memory._ours, loss_memory._naive):
        hidden = torch.linspace(-2, 2, 8 * 32).view(8, 32).requires_grad_()
        evaluate(loss, student, teacher, hidden, states, ids).backward()
        grads.append(hidden.grad)
    assert grads[1].abs().max() > 1e-4
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-7)
