"""Measurements and other Pythons, made by hand."""

from __future__ import annotations

import sys
from pathlib import Path

from understudy.bench.speed.comparing import Comparison
from understudy.bench.speed.phases import PHASES
from understudy.bench.speed.step_job import Measured


def measured(total: float, *, tokens: float = 24.0, mib: float = 10.0, **seconds: float) -> Measured:
    """A step of so many seconds; what is not named is ``rest``."""
    phases = {**dict.fromkeys(PHASES, 0.0), "rest": total - sum(seconds.values()), **seconds, "total": total}
    return Measured(phases, tokens, memory_mib=mib, peak_mib=500.0 + mib)


def comparison() -> Comparison:
    """Two rounds of one setting a side; another of each side failed."""
    return Comparison(
        "mini",
        ours={"opd-float32": [measured(1.0, sample=0.25, mib=10), measured(2.0, sample=0.5, mib=10)]},
        peers={"distillation-default": [measured(3.0, mib=20), measured(4.0, mib=20)]},
        explored={"distillation-default": 3.5},
        failures={"TRL gkd-float32": "it was ended by SIGKILL, perhaps for lack of memory"},
    )


def python_with_a_trl(folder: Path, *, body: str = "") -> Path:
    """A Python whose ``trl`` is a file of ours: ``body`` is what importing it does."""
    (folder / "trl.py").write_text(body)
    (folder / "trl-9.9.dist-info").mkdir()
    (folder / "trl-9.9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: trl\nVersion: 9.9\n")
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH="{folder}" exec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return script
