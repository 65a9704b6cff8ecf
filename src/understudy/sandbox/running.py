"""Run one program to its end, in a sandbox."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from understudy.errors import UserMistakeError
from understudy.sandbox.bubblewrap import bubblewrap
from understudy.sandbox.layout import environment, interpreter, places
from understudy.sandbox.limits import Limits, Outcome, SandboxUnavailableError
from understudy.sandbox.means import Isolation, isolation
from understudy.sandbox.namespaces import namespaces
from understudy.sandbox.ownership import is_privileged, lent_to_the_sandbox
from understudy.sandbox.streams import Streams

_END_SECONDS = 5.0
_MODULE = "understudy.sandbox.inside.gate"


def run(
    command: Sequence[str],
    *,
    folder: Path,
    stdin: str = "",
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    readable: Sequence[Path] = (),
    by: Isolation | None = None,
) -> Outcome:
    """Run a program to its end or to its limits; when this returns, none of its processes lives.

    The program sees the system's programs and libraries, this process's Python (``python3`` finds it) and ``readable``,
    all read-only and at their own paths; ``folder`` is ``/workspace``, its working directory and the one place besides
    ``/tmp`` and ``/dev/shm`` (both new each time) where it can write. It has no network, no environment variable of
    this process, no other open file, and no privilege. Links it leaves in the folder may lead anywhere: follow none.

    Args:
        command: program and arguments, as seen from inside.
        stdin: what it can read there. readable: what else it may read; sockets in there could be spoken to.
        by: the means; None takes ``isolation()``.
    Raises:
        SandboxUnavailableError: nothing here can isolate it, or the means named cannot.
        UserMistakeError: no command, ``folder`` is no directory, or the program could not read what is ``readable``.
    """
    return run_between(command, folder=folder, source=stdin, sink=None, limits=limits, readable=readable, by=by)


def run_between(
    command: Sequence[str],
    *,
    folder: Path,
    source: str | IO[bytes],
    sink: IO[bytes] | None,
    limits: Limits,
    readable: Sequence[Path] = (),
    by: Isolation | None = None,
) -> Outcome:
    """As ``run``; a file as ``source`` is the program's stdin, and what it writes goes to ``sink``, uncounted.

    Both files are closed here as soon as the program has them, and also where it cannot be started.
    """
    with ExitStack() as stack:
        given = stack.enter_context(_sealed(source) if isinstance(source, str) else source)
        if sink is not None:
            stack.enter_context(sink)
        _check(command, folder=folder, readable=readable)
        means = by or isolation()
        stack.enter_context(lent_to_the_sandbox(folder))
        settings = {"command": list(command), "environment": environment(), "limits": dataclasses.asdict(limits)}
        settings_file = stack.enter_context(_sealed(json.dumps(settings)))
        (lifeline, alive), (answer, answering) = open_pipe(), open_pipe()
        for end in (lifeline, alive, answer, answering):
            stack.enter_context(end)
        passed = (settings_file.fileno(), answering.fileno(), lifeline.fileno())
        gate = [interpreter(), "-S", "-s", "-B", "-m", _MODULE, *map(str, passed)]
        process = _begun(
            _stage(means, folder, readable=readable, limits=limits, gate=gate), stdin=given, stdout=sink, passed=passed
        )
        for mine in (given, answering, lifeline, *([] if sink is None else [sink])):
            mine.close()
        streams = Streams(process, answer, keep_bytes=limits.output_bytes)
        try:
            streams.follow(wall_seconds=limits.wall_seconds)
        finally:
            alive.close()
            _wait(process)
            streams.close()
    return _outcome(streams, means)


def _check(command: Sequence[str], *, folder: Path, readable: Sequence[Path]) -> None:
    if not command or not folder.is_dir():
        raise UserMistakeError(
            "a sandbox needs a command and a folder", got=f"{list(command)} in {folder}", expected="both"
        )
    _check_readable(readable)


def _check_readable(paths: Sequence[Path]) -> None:
    for path in paths:
        wanted = 0o5 if path.is_dir() else 0o4
        if not path.exists() or (is_privileged() and path.stat().st_mode & wanted != wanted):
            raise UserMistakeError(
                "a program in a sandbox cannot read this",
                got=path,
                expected="a path that is there and, as root's programs run as nobody, is open to all users",
                remedy=f"Where it is there: chmod o+rX {path}",
            )


def _stage(
    means: Isolation, folder: Path, *, readable: Sequence[Path], limits: Limits, gate: Sequence[str]
) -> list[str]:
    shown = places(folder, readable)
    if means == "bubblewrap":
        return bubblewrap(shown, scratch_bytes=limits.file_bytes, command=gate)
    return namespaces(shown, scratch_bytes=limits.file_bytes, command=gate)


def _begun(
    stage: Sequence[str], *, stdin: IO[bytes], stdout: IO[bytes] | None, passed: Sequence[int]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            stage,
            stdin=stdin,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            pass_fds=passed,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            cwd="/",
        )
    except FileNotFoundError as error:
        raise SandboxUnavailableError("the means of isolation that was named is not here", got=stage[0]) from error


def _sealed(text: str) -> IO[bytes]:
    """A file in memory that can be read and not written, from its start."""
    file = os.fdopen(os.memfd_create("sandbox", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC), "r+b")
    file.write(text.encode(errors="replace"))
    file.seek(0)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return file


def open_pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Its reading end and its writing end, unbuffered."""
    read, write = os.pipe()
    return os.fdopen(read, "rb", 0), os.fdopen(write, "wb", 0)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Until the stage is struck: it waits for the gate, and the gate's end is the end of all within."""
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        time.sleep(0.05)


def _outcome(streams: Streams, means: Isolation) -> Outcome:
    said = streams.answer
    if not said and not streams.why:
        words = streams.stderr.text().strip()[-500:] or "no word of why"
        raise SandboxUnavailableError(f"{means} cannot isolate a program here", got=words)
    # a gate that began and did not come to its last word was killed from outside, by the kernel for want of memory
    ended, reason = said.get("ended", "limit"), said.get("reason", "" if "ended" in said else "hidden")
    if streams.why == "output":
        ended, reason = "limit", "output"
    elif streams.why:
        ended, reason = "deadline", ""
    return Outcome(
        exit_status=said.get("exit_status") if ended == "exit" else None,
        stdout=streams.stdout.text(),
        stderr=streams.stderr.text(),
        seconds=said.get("seconds", streams.seconds),
        ended=ended,
        reason=reason,
    )
