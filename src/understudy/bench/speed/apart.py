"""Measurements in fresh processes, so that nobody finds the caches or threads of another; limited in time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import understudy
from understudy.errors import UnderstudyError

_PACKAGE = Path(understudy.__file__).parent
# The other Python need not have this package: it is imported from its folder, and nothing beside it is.
_LAUNCH = """
import importlib.util, runpy, sys
place = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location(
    "understudy", place + "/__init__.py", submodule_search_locations=[place]
)
sys.modules["understudy"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
runpy.run_module("understudy.bench.speed.child", run_name="__main__", alter_sys=True)
"""


class MeasurementError(UnderstudyError, RuntimeError):
    """A process that measured failed, or took too long."""


@dataclass(frozen=True)
class Place:
    """Where a process runs.

    Args:
        python: the interpreter; None is this one. threads: of the product library. limit_seconds: then it is stopped.
    """

    python: str | None = None
    threads: int = 1
    limit_seconds: float = 1800.0


def measure_apart(module: str, arguments: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """What ``measure`` of ``understudy.bench.speed.MODULE`` returns, as plain data.

    Raises:
        MeasurementError: the process failed, was killed, or took longer than its limit.
    """
    command = [place.python or sys.executable, "-c", _LAUNCH, str(_PACKAGE), module, json.dumps(arguments)]
    with tempfile.TemporaryDirectory(prefix="understudy-speed-") as folder:
        started = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(place),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with started:
            try:
                out, error = started.communicate(timeout=place.limit_seconds)
            except subprocess.TimeoutExpired as late:
                raise MeasurementError(f"it took longer than {place.limit_seconds:g} s") from late
            finally:
                started.kill()
    if started.returncode != 0:
        raise MeasurementError(_reason(started.returncode, error))
    return json.loads(out.splitlines()[-1])


def _environment(place: Place) -> dict[str, str]:
    threads = str(place.threads)
    quiet = {
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    return {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, **quiet}


def _reason(status: int, error: str) -> str:
    """The last words of a process, or the signal that ended it."""
    if status < 0:
        memory = ", perhaps for lack of memory" if -status == signal.SIGKILL else ""
        return f"it was ended by {signal.Signals(-status).name}{memory}"
    lines = [line.strip() for line in error.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"it ended with status {status} and said nothing"
