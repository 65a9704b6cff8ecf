"""The machine, and the other Python, in words."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from understudy.errors import UserMistakeError

_OURS, _THEIRS = ("understudy", "torch", "transformers"), ("trl", "torch", "transformers")
_ASK = f"""
import json
from importlib.metadata import version
import trl
print("\\n" + json.dumps({{name: version(name) for name in {_THEIRS!r}}}))
"""
_REMEDY = "Name the python of an environment that has trl; `make bench` makes one, .venv-bench/bin/python."
_PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Machine:
    """Where it was measured.

    Args:
        processor: its name. cores: of it. threads: that were used. clock: that was read.
        versions: of our packages. peer_versions: of TRL's Python; empty without it.
    """

    processor: str
    cores: int
    threads: int
    clock: str
    versions: dict[str, str]
    peer_versions: dict[str, str]

    def line(self) -> str:
        """In one line."""
        packages = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        theirs = "; TRL's side: " + ", ".join(f"{n} {v}" for n, v in self.peer_versions.items())
        what = (
            f"{self.processor}, {self.cores} cores, {self.threads} thread(s) a side, {self.clock} seconds; {packages}"
        )
        return what + (theirs if self.peer_versions else "")


def this_machine(*, threads: int, clock: str, peer_python: str | None) -> Machine:
    """Describe it.

    Raises:
        UserMistakeError: there is no such Python, or it has no trl.
    """
    theirs = {} if peer_python is None else peer_versions(peer_python)
    mine = {name: _version(name) for name in _OURS}
    return Machine(_processor(), os.cpu_count() or 1, threads, clock, mine, theirs)


def interpreter_named(text: str) -> str:
    """The absolute path of an interpreter given by path or by name; links stay, they say which environment it is.

    Raises:
        UserMistakeError: there is none.
    """
    found = shutil.which(text)
    if found is None:
        raise UserMistakeError("there is no such Python", got=repr(text), remedy=_REMEDY)
    return str(Path(found).absolute())


def peer_versions(python: str) -> dict[str, str]:
    """Versions of trl and what it stands on.

    Raises:
        UserMistakeError: there is no such Python, or it has no trl.
    """
    try:
        asked = subprocess.run(
            [python, "-c", _ASK], capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserMistakeError(
            "--against-trl names no Python that answers", got=repr(python), remedy=_REMEDY
        ) from error
    if asked.returncode != 0:
        last = (asked.stderr.strip().splitlines() or ["nothing"])[-1]
        raise UserMistakeError(f"the Python at {python!r} cannot import trl", got=last[:200], remedy=_REMEDY)
    return json.loads(asked.stdout.splitlines()[-1])


def _processor() -> str:
    """Its name, family and model, and whether it has AMX."""
    file = Path("/proc/cpuinfo")
    if not file.exists():
        return platform.processor() or platform.machine()
    pairs = [line.split(":", 1) for line in file.read_text().splitlines() if ":" in line]
    facts = {name.strip(): value.strip() for name, value in pairs}
    name = facts.get("model name", platform.machine())
    family = f" (family {facts['cpu family']}, model {facts.get('model')})" if "cpu family" in facts else ""
    return name + family + (", AMX" if "amx_bf16" in facts.get("flags", "") else "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
