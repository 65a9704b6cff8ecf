from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_benchmark_times_a_real_step_and_says_what_it_timed():
    sizes = ["--rollouts", "4", "--completion-length", "6", "--width", "64", "--layers", "1"]
    command = [sys.executable, "-m", "benchmarks", "--json", "--steps", "2", "--threads", "1", *sizes]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert shown.returncode == 0, shown.stderr
    report = json.loads(shown.stdout)
    assert report["tokens_per_step"] == 4 * 6
    parts = [report[f"{part}_seconds"] for part in ("sample", "teacher", "plan", "update")]
    assert min(parts) > 0
    assert sum(parts) <= report["total_seconds"]
    assert (report["width"], report["layers"], report["threads"]) == (64, 1, 1)
