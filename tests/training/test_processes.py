"""A real process, killed and interrupted from outside."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.training.tiny_run import go, parts_of, record_of, weights_of
from understudy.training import checkpoint

ROOT = Path(__file__).parents[2]
STEPS = 8


def start(path: Path, *, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.training.tiny_run", str(path), str(STEPS), str(pause)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(path: Path, count: int) -> None:
    file = path / "metrics.jsonl"
    for _ in range(1200):
        if file.exists() and len(file.read_text().splitlines()) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("the run wrote nothing")


def test_kill_9_and_resume_give_the_same_numbers(tmp_path: Path) -> None:
    process = start(tmp_path / "cut", pause=0.1)
    wait_for_lines(tmp_path / "cut", 5)
    process.kill()
    process.communicate()
    parts, peaceful = parts_of(STEPS), parts_of(STEPS)
    go(tmp_path / "cut", parts, resume=True)
    go(tmp_path / "peaceful", peaceful)
    assert record_of(tmp_path / "cut") == record_of(tmp_path / "peaceful")
    for found, expected in zip(weights_of(parts), weights_of(peaceful), strict=True):
        assert found.equal(expected)


def test_ctrl_c_ends_the_run_with_a_checkpoint_and_a_sentence(tmp_path: Path) -> None:
    number = signal.SIGINT
    process = start(tmp_path / "run", pause=0.3)
    wait_for_lines(tmp_path / "run", 3)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"{number.name}: ending after this piece of work" in err
    assert "Traceback" not in err
    done = int(out.split()[0])
    assert f"Stopped after {done} of {STEPS} steps; --resume goes on from step {done}." in err
    assert 3 <= done < STEPS
    assert checkpoint.steps_of(tmp_path / "run" / "checkpoints")[-1] == done
    assert checkpoint.faults_of(checkpoint.folder_of(tmp_path / "run" / "checkpoints", done)) is None


def test_nobody_reads_the_output(tmp_path: Path) -> None:
    process = start(tmp_path / "run", pause=0.0)
    assert process.stderr is not None
    process.stderr.close()
    process.wait(timeout=120)
    assert process.returncode == 0
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == STEPS
