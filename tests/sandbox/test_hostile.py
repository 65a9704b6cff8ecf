"""Every hostile program harms nothing and ends within its limits, by each means of isolation."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.sandbox.hostile import PRELUDE, PROGRAMS, Hostile
from tests.sandbox.left import has_mounted

from understudy.sandbox import Isolation, Limits, Outcome, run

LIMITS = Limits(
    wall_seconds=2.0,
    cpu_seconds=0.4,
    memory_bytes=256 << 20,
    num_processes=16,
    file_bytes=8 << 20,
    output_bytes=8 << 10,
    folder_bytes=32 << 20,
    num_files=500,
)
CODE_NAME = "hostile.py"


@dataclass(frozen=True)
class Canaries:
    """What must be untouched when all is over: files, a process, sockets, and a word nobody may read."""

    folder: Path
    word: str
    port: int
    process: subprocess.Popen[bytes]
    calls: list[str]


@pytest.fixture
def canaries(tmp_path, monkeypatch):
    word, folder = secrets.token_hex(16), tmp_path / "canary"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "secret.txt").write_text(word)
    (folder / "secret.txt").chmod(0o666)
    monkeypatch.setenv("UNDERSTUDY_CANARY_KEY", word)
    calls: list[str] = []
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        doors = [listener]
        for name in (str(folder / "door"), f"\0understudy-canary-{port}"):
            door = stack.enter_context(socket.socket(socket.AF_UNIX))
            door.bind(name)
            door.listen()
            doors.append(door)
        for door in doors:
            threading.Thread(target=_answer, args=(door, calls), daemon=True).start()
        process = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        left_open = stack.enter_context((folder / "secret.txt").open())
        os.set_inheritable(left_open.fileno(), True)
        yield Canaries(folder, word, port, process, calls)
        process.kill()


def _answer(door: socket.socket, calls: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            door.accept()
            calls.append(str(door.getsockname()))


def ran(program: Hostile, folder: Path, *, by: Isolation, canaries: Canaries) -> Outcome:
    told = {"CANARYWORD": canaries.word[:8], "CANARY": str(canaries.folder), "PORT": str(canaries.port)}
    code = program.code if program.shell else PRELUDE + program.code
    for name, value in told.items():
        code = code.replace(name, value)
    folder.mkdir(parents=True)
    command = ["/bin/sh", "-c", code] if program.shell else ["python3", "-c", code]
    return run(command, folder=folder, by=by, limits=LIMITS, stdin="some input")


def faults(program: Hostile, outcome: Outcome, folder: Path) -> list[str]:
    """What the program did that it must not have been able to do."""
    end = {"exit": f"exit:{outcome.exit_status}", "limit": f"limit:{outcome.reason}"}.get(outcome.ended, outcome.ended)
    lines = outcome.stdout.splitlines()
    size = sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
    found = {
        f"ended {end}, not {program.ends}: {outcome.stderr[-300:]}": end not in program.ends,
        f"did not begin: {outcome.stderr[-300:]}": "tried" not in outcome.stdout,
        f"harm: {outcome.stdout[-300:]}": any(line.startswith("HARMED") for line in lines),
        f"took {outcome.seconds} s": outcome.seconds > LIMITS.wall_seconds + 3,
        f"left {size} bytes": size > 10 * LIMITS.folder_bytes,
        "a process is left": has_mounted(folder),
        "its output is long": len(outcome.stdout) + len(outcome.stderr) > 3 * LIMITS.output_bytes,
    }
    return [f"{program.name}: {fault}" for fault, is_so in found.items() if is_so]


def test_there_are_sixty_programs_of_different_names():
    assert len(PROGRAMS) >= 60
    assert max(Counter(program.name for program in PROGRAMS).values()) == 1


def test_none_of_them_harms_anything(tmp_path, by, canaries):
    def try_one(numbered: tuple[int, Hostile]) -> tuple[list[str], Outcome]:
        number, program = numbered
        folder = tmp_path / "work" / str(number)
        outcome = ran(program, folder, by=by, canaries=canaries)
        return faults(program, outcome, folder), outcome

    started = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        tries = list(pool.map(try_one, enumerate(PROGRAMS)))
    assert "\n".join(fault for found, _ in tries for fault in found) == ""
    assert not [
        program.name
        for program, (_, outcome) in zip(PROGRAMS, tries, strict=True)
        if canaries.word in outcome.stdout + outcome.stderr
    ]
    assert time.monotonic() - started < 5 * len(PROGRAMS)
    assert sorted(path.name for path in canaries.folder.iterdir()) == ["door", "secret.txt"]
    assert (canaries.folder / "secret.txt").read_text() == canaries.word
    assert canaries.process.poll() is None
    assert canaries.calls == []
    assert not [
        path
        for path in (*tmp_path.iterdir(), *Path("/tmp").iterdir(), *Path("/dev/shm").iterdir())
        if path.name == "understudy-hostile"
    ]
    for number in range(len(PROGRAMS)):
        subprocess.run(["rm", "-rf", str(tmp_path / "work" / str(number))], check=True)


def test_the_canaries_are_ones_that_can_be_harmed(tmp_path, by, canaries):
    """Shown the canaries' folder, the same attacks do reach it."""
    code = PRELUDE + "print(open('secret.txt').read()); open('understudy-hostile', 'w')"
    outcome = run(["python3", "-c", code], folder=canaries.folder, by=by, limits=LIMITS)
    assert canaries.word in outcome.stdout
    assert (canaries.folder / "understudy-hostile").exists()
