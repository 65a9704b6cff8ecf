"""``understudy bench speed | memory`` as a user types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.bench.speed.hand_made_speeds import measured, python_with_a_trl
from understudy.bench.speed import memory as memories
from understudy.cli import main


def typed(monkeypatch, *arguments: str) -> int:
    """The exit status of the program in this process."""
    monkeypatch.setattr(sys, "argv", ["understudy", "bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["speed", "--sizes", "B33"], "Did you mean B32?"),
        (["speed", "--sizes", "mini", "--rounds", "0"], "--rounds must be at least 1; got 0"),
        (["speed", "--sizes", "mini", "--steps", "-1"], "--steps must be at least 1; got -1"),
        (["speed", "--sizes", "mini", "--against-trl", "no-such-python"], "there is no such Python"),
        (["speed", "--settings", "opd-float16"], "expected of opd-float32"),
        (["speed", "--clock", "moon"], "expected wall or cpu"),
        (["speed", "--limit", "0"], "--limit must be more than 0 minutes"),
        (["speed", "--linear", "--trace", "x.json"], "--linear and --trace are two things"),
        (["speed", "--sizes", "mini", "--trace", "no/such/folder/x.json"], "Make no/such/folder first."),
        (["memory", "--rows", "many"], "--rows takes whole numbers"),
        (["memory", "--long", "8"], "each at least 32"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(arguments, said, monkeypatch, capsys):
    assert typed(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.startswith("understudy: ") and shown.err.count("\n") == 1
    assert shown.out == ""


@pytest.mark.timeout(580)
def test_a_failing_setting_of_trl_does_not_stop_ours(monkeypatch, capsys, tmp_path: Path):
    python = python_with_a_trl(tmp_path, body="")  # one without trainers
    options = ["--sizes", "mini", "--rounds", "1", "--steps", "1", "--settings", "opd-float32", "--json"]
    peers = ["--against-trl", str(python), "--trl-settings", "distillation-default"]
    assert typed(monkeypatch, "speed", *options, *peers) == 0
    shown = capsys.readouterr()
    (found,) = json.loads(shown.out)["found"]
    assert found["ours"]["opd-float32"][0]["tokens"] == 24 and found["peers"] == {}
    assert "no attribute 'DistillationConfig'" in found["failures"]["TRL distillation-default"]
    assert "mini round 1, TRL distillation-default: failed: AttributeError" in shown.err


@pytest.mark.timeout(580)
def test_memory_is_told_for_the_loss_and_for_one_long_sequence(monkeypatch, capsys):
    done = measured(1.0, mib=3.0)
    answers = {
        "writing": {"num_bytes": 1},
        "loss_memory": {"mib": 7.0},
        "step_job": {"seconds": done.seconds, "tokens": 1.0, "memory_mib": 3.0, "peak_mib": 503.0},
    }
    for module in (memories, "understudy.bench.speed.writing", "understudy.bench.speed.comparing"):
        target = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{target}.measure_apart", lambda name, *_: answers[name])
    assert typed(monkeypatch, "memory", "--sizes", "mini", "--rows", "512", "--long", "64", "--markdown") == 0
    out = capsys.readouterr().out
    assert "| MiB | 512 tokens |" in out and "| gkd, naive | 7 |" in out
    assert "| 64 | 1.00 | 3 | 503 | 49,152 |" in out  # 3 MiB over 64 tokens
    assert "| Understudy opd-float32 | 3 | 503 | 1.00 |" in out
