"""By which means programs are isolated on this machine."""

from __future__ import annotations

import functools
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

from understudy.sandbox.limits import Limits, SandboxUnavailableError

Isolation = Literal["bubblewrap", "namespaces"]
"""The means: the program ``bwrap``, or this package's own use of the kernel's namespaces."""

_PROBE = Limits(wall_seconds=5.0, cpu_seconds=5.0)
_REMEDY = (
    "Install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap), or let this user "
    "make user namespaces (sysctl user.max_user_namespaces; on Ubuntu also kernel.apparmor_restrict_unprivileged_userns"
    "=0); a container needs --security-opt seccomp=unconfined or --privileged for either. Code that a model wrote does "
    "not run without isolation."
)


@functools.cache
def isolation() -> Isolation:
    """The means that works here, tried once a process; bubblewrap where both do.

    Raises:
        SandboxUnavailableError: neither works.
    """
    if sys.platform != "linux":
        raise SandboxUnavailableError("programs can be isolated on Linux only", got=sys.platform)
    failures = []
    means: tuple[Isolation, ...] = ("bubblewrap", "namespaces")
    for name in means:
        if name == "bubblewrap" and shutil.which("bwrap") is None:
            failures.append("bubblewrap: no program bwrap on the path")
            continue
        failure = failure_of(name)
        if failure is None:
            return name
        failures.append(f"{name}: {failure}")
    raise SandboxUnavailableError("no means to isolate a program works here", got="; ".join(failures), remedy=_REMEDY)


def failure_of(name: Isolation) -> str | None:
    """Why a means does not work here; None where it does: a program that ends at once was tried in it."""
    from understudy.sandbox.running import run

    with tempfile.TemporaryDirectory() as folder:
        try:
            outcome = run(["/bin/sh", "-c", "exit 7"], folder=Path(folder), limits=_PROBE, by=name)
        except SandboxUnavailableError as error:
            return str(error.got)
    return None if outcome.exit_status == 7 else f"a program that ends at once gave {outcome}"
