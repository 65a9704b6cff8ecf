"""``understudy launch`` as a function: lays out, checks, starts, watches, and tells how it ended."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from understudy.errors import DiskError, RunDirectoryError, UserMistakeError
from understudy.launching.layout import PORTS, Layout
from understudy.launching.order import KEY_VARIABLE
from understudy.launching.page import HealthPage
from understudy.launching.part import Part
from understudy.launching.snapshot import run_now, snapshot
from understudy.launching.supervising import Bounds, Supervisor
from understudy.launching.warden import become_subreaper
from understudy.training.run_directory import LAUNCH
from understudy.written_whole import AGAIN, refused_by_disk, write_whole

_STATE = "launch.json"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """How a launch ended.

    Args:
        status: its exit status. run: the folder. step, steps: how far the run is. restarts: by part, where there were.
    """

    status: int
    run: Path
    step: int
    steps: int
    restarts: Mapping[str, int]

    def to_json(self) -> dict[str, object]:
        """For programs to read."""
        return {
            "status": self.status,
            "run": str(self.run),
            "step": self.step,
            "steps": self.steps,
            "restarts": dict(self.restarts),
        }


def run_launch(
    layout: Layout,
    *,
    machine: int = 0,
    bounds: Bounds,
    resume: bool = False,
    health_port: int = 0,
    say: Callable[[str], None],
) -> Ended:
    """Start the parts of one machine, and return once the trainer has ended and nothing is left of any.

    Raises:
        UserMistakeError: a program is not installed, a key is missing, or the run's folder is in use.
        PartFailedError: see ``Supervisor.run``.
    """
    parts = layout.of_machine(machine)
    check_programs(parts)
    environment = _with_keys(layout)
    _refuse_existing(layout.run, resume=resume)
    folder = layout.run / LAUNCH
    with _only_one(folder, machine):
        become_subreaper()
        if layout.ports and len(layout.machines) == 1:
            write_whole(folder / PORTS, json.dumps(dict(layout.ports)) + "\n", remedy=AGAIN)
        others = [part.url for part in layout.parts if part.machine != machine and part.url is not None]
        supervisor = Supervisor(parts, folder, environment, bounds=bounds, say=say, resume=resume, others=others)
        return _supervised(supervisor, layout, folder, environment, health_port=health_port, say=say)


def _supervised(
    supervisor: Supervisor,
    layout: Layout,
    folder: Path,
    environment: Mapping[str, str],
    *,
    health_port: int,
    say: Callable[[str], None],
) -> Ended:
    page = HealthPage(lambda: snapshot(supervisor.processes, layout.run, layout.steps, environment), port=health_port)
    notes = _Notes(folder, supervisor, page.url, say)
    supervisor.changed = notes.write
    say(f"health page: {page.url}; logs: {folder}")
    try:
        with _heard(supervisor):
            status = supervisor.run()
    finally:
        page.close()
        notes.remove()
    now = run_now(layout.run, layout.steps)
    restarts = {one.part.name: one.restarts for one in supervisor.processes if one.restarts}
    return Ended(status, layout.run, now.step, now.steps, restarts)


def check_programs(parts: Sequence[Part]) -> None:
    """Raise UserMistakeError for a part whose program is not on this machine."""
    for part in parts:
        program = part.command[0]
        module = "sglang" if "sglang.launch_server" in part.command else None
        missing = find_spec(module) is None if module else program == "vllm" and shutil.which("vllm") is None
        if missing:
            raise UserMistakeError(
                f"{part.name} is to be served by {module or program}, which is not installed here",
                remedy="Install it in this environment, or serve by our own: --serve-with understudy.",
            )


def _with_keys(layout: Layout) -> dict[str, str]:
    """The environment of every part. A key of our own is made where one machine is all there is."""
    environment = dict(os.environ)
    for name in layout.key_variables:
        if environment.get(name, "").strip():
            continue
        if name != KEY_VARIABLE:
            raise UserMistakeError(
                f"the environment variable {name} holds no key", remedy="Set it: the servers will ask for this key."
            )
        if len(layout.machines) > 1:
            raise UserMistakeError(
                f"the environment variable {KEY_VARIABLE} is not set",
                expected="one secret, the same on every machine, which their servers ask for",
                remedy=f"Set it on each, such as export {KEY_VARIABLE}=$(cat a-file-that-all-can-read).",
            )
        environment[name] = secrets.token_hex(32)
    return environment


def _refuse_existing(run: Path, *, resume: bool) -> None:
    """What ``train`` would refuse in a minute is refused before any server loads a model."""
    if not resume and (run / "recipe.yaml").exists():
        raise RunDirectoryError(
            f"the run directory {run} exists",
            remedy="Go on with it by --resume, choose another name=..., or delete it.",
        )


@contextmanager
def _only_one(folder: Path, machine: int) -> Iterator[None]:
    with refused_by_disk(folder, remedy=AGAIN):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".lock-{machine}").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunDirectoryError(
                f"another launch is at work in {folder.parent}",
                remedy="Wait for it, stop it, or choose another name=...",
            ) from error
        except OSError:
            pass  # a file system without locks
        yield


@contextmanager
def _heard(supervisor: Supervisor) -> Iterator[None]:
    before = {number: signal.signal(number, supervisor.stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Notes:
    """What other programs need to find the parts, in ``launch.json``: processes, states and the health page.

    A disk that refuses it costs nothing else, and is told once.
    """

    def __init__(self, folder: Path, supervisor: Supervisor, url: str, say: Callable[[str], None]) -> None:
        self._file, self._supervisor, self._url, self._say = folder / _STATE, supervisor, url, say
        self._is_told = False

    def write(self) -> None:
        """As things stand now."""
        parts = {
            one.part.name: {"pid": one.pid, "state": one.state, "url": one.part.url, "restarts": one.restarts}
            for one in self._supervisor.processes
        }
        content = {"pid": os.getpid(), "health": self._url, "parts": parts}
        try:
            write_whole(self._file, json.dumps(content, indent=2) + "\n", remedy="The launch goes on without it.")
        except DiskError as error:
            self._tell(str(error))

    def remove(self) -> None:
        """At the end, where nothing is to be found any more."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError as error:
            self._tell(f"{self._file} cannot be removed: {error.strerror or error}")

    def _tell(self, sentence: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._say(sentence)
