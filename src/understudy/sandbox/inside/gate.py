"""Process 1 of a sandbox: starts the program with its limits, watches it, and says how it ended.

The kernel kills every process of the namespace when this one ends, also those that left their session or were forked
twice; no signal from inside reaches it. What it has to say goes through a pipe that the program does not have.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from understudy.sandbox.inside import calls, seccomp
from understudy.sandbox.inside.watch import Watch

_NOBODY = 65534
_USER = 1000
_BLINK_SECONDS = 0.05
_OPEN_FILES = 256


def main() -> None:
    """Run what the file whose number is the first argument asks for; the second is the pipe for the answer."""
    settings_file, answer, lifeline = (int(text) for text in sys.argv[1:4])
    with os.fdopen(settings_file) as file:
        settings = json.load(file)
    for number in (answer, lifeline):
        os.set_inheritable(number, False)
    leave_root()
    calls.let_be_read(False)
    calls.die_with_parent()
    limits = settings["limits"]
    wake = waking_pipe()
    started = time.monotonic()
    child = start(settings["command"], environment=settings["environment"], limits=limits)
    os.write(answer, b'{"started": true}\n')
    try:
        ending = follow(child, Watch(child, limits, started=started), wake=wake, lifeline=lifeline)
    except Exception:  # whatever a program did to it, what cannot be watched must end
        traceback.print_exc()
        ending = {"ended": "limit", "reason": "hidden"}
    ending["seconds"] = time.monotonic() - started
    os.write(answer, json.dumps(ending).encode() + b"\n")
    os._exit(0)


def leave_root() -> None:
    """Become an ordinary user, in a user namespace of one's own where the system allows it.

    There the number of processes is counted for this sandbox alone.
    """
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        calls.let_be_read(True)  # else its own maps are root's
        with suppress(OSError):
            calls.new_user_namespace()
            mapped = f"{_USER} {_NOBODY} 1"
            for name, text in (("setgroups", "deny"), ("uid_map", mapped), ("gid_map", mapped)):
                with open(f"/proc/self/{name}", "w") as file:
                    file.write(text)


def waking_pipe() -> int:
    """A pipe that can be read when a child has ended."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)  # process 1 gets from its own namespace only what it has a handler for
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return read


def start(command: Sequence[str], *, environment: Mapping[str, str], limits: Mapping[str, Any]) -> int:
    """The process of the program, its own session's leader."""
    child = os.fork()
    if child:
        return child
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        set_limits(limits)
        calls.give_up_privileges()
        code = seccomp.program()
        if code is not None:
            calls.filter_calls(code)
        os.execvpe(command[0], list(command), dict(environment))
    except (OSError, ValueError) as error:
        os.write(2, f"sandbox: cannot start {command[0][:200]!r}: {error}\n".encode())
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    finally:
        os._exit(126)


def set_limits(limits: Mapping[str, Any]) -> None:
    """Those that the kernel enforces for each process."""
    cpu, memory, size = -int(-limits["cpu_seconds"] // 1), int(limits["memory_bytes"]), int(limits["file_bytes"])
    for kind, soft, hard in [
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, size, size),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_MEMLOCK, 1 << 20, 1 << 20),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ]:
        set_limit(kind, soft, hard)
    if counts_by_namespace():
        processes = int(limits["num_processes"]) + 1
        set_limit(resource.RLIMIT_NPROC, processes, processes)


def set_limit(kind: int, soft: int, hard: int) -> None:
    """At most what is in force already."""
    before = resource.getrlimit(kind)[1]
    most = hard if before == resource.RLIM_INFINITY else min(hard, before)
    resource.setrlimit(kind, (min(soft, most), most))


def counts_by_namespace() -> bool:
    """Whether the kernel counts a user's processes in each user namespace (Linux 5.14), not all that the user has."""
    major, minor = (int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return (major, minor) >= (5, 14)


def follow(child: int, watch: Watch, *, wake: int, lifeline: int) -> dict[str, Any]:
    """Wait for the program's end, or find why it must end now; whoever was orphaned is reaped."""
    while True:
        ready = select.select([wake, lifeline], [], [], _BLINK_SECONDS)[0]
        if lifeline in ready:  # nobody waits for the answer any more
            os._exit(1)
        if wake in ready:
            os.read(wake, 4096)
        status = reap(child)
        if status is not None:
            return ending_of(status, watch)
        broken = watch.broken()
        if broken is not None:
            return broken


def reap(child: int) -> int | None:
    """Collect all that have ended; the program's status when it is among them."""
    found = None
    with suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                break
            if process == child:
                found = status
    return found


def ending_of(status: int, watch: Watch) -> dict[str, Any]:
    """How it ended, in the words of ``limits.Outcome``."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return {"ended": "exit", "exit_status": code}
    if -code == signal.SIGXCPU or watch.has_used_its_cpu():
        return {"ended": "limit", "reason": "cpu"}
    if -code == signal.SIGXFSZ:
        return {"ended": "limit", "reason": "disk"}
    return {"ended": "signal"}


if __name__ == "__main__":
    main()
