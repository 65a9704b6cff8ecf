"""C that is compiled once on a machine, for its own processor; where there is no compiler, torch does the work."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import torch

from understudy.errors import UserMistakeError
from understudy.home import home

_log = logging.getLogger(__name__)
_FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-shared", "-fPIC")
_COMPILE_SECONDS = 120.0
SWITCH = "UNDERSTUDY_NATIVE"
"""Set to 0, nothing is compiled or loaded."""


@functools.cache
def library(source: Path) -> ctypes.CDLL | None:
    """The compiled file, or None where it is switched off or cannot be had; why not is logged, once.

    It is kept under ``UNDERSTUDY_HOME``, named by its source with the headers beside it, the compiler and
    the processor.
    """
    if os.environ.get(SWITCH) == "0":
        return None
    try:
        return ctypes.CDLL(str(_built(source)))
    except (OSError, UserMistakeError, subprocess.SubprocessError) as error:  # a user may have no home folder
        _log.info("%s is not used: %s", source.name, error)
        return None


def _built(source: Path) -> Path:
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        raise FileNotFoundError("there is no C compiler (cc, or the one that CC names)")
    target = home() / "native" / f"{source.stem}-{_digest(source, compiler)}.so"
    if not target.is_file():
        _compile(source, compiler, target)
    return target


def _digest(source: Path, compiler: str) -> str:
    said = subprocess.run([compiler, "--version"], capture_output=True, timeout=_COMPILE_SECONDS, check=True).stdout
    headers = (header.read_bytes() for header in sorted(source.parent.glob("*.h")))
    parts = (source.read_bytes(), *headers, said, _processor(), " ".join(_FLAGS).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> bytes:
    """What tells machines apart that must not share a file: the instructions they know."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        lines = []
    known = (line for line in lines if line.startswith((b"flags", b"Features", b"model name")))
    return b"\0".join([platform.machine().encode(), *sorted(set(known))])


def _compile(source: Path, compiler: str, target: Path) -> None:
    """Written beside and renamed: a process that loads it never sees half a file."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix=".compiling.", dir=target.parent) as beside:
        made = Path(beside) / target.name
        command = [compiler, *_FLAGS, str(source), "-o", str(made), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False)
        if done.returncode:
            raise OSError(f"{compiler} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        made.replace(target)


def shares_of(num_rows: int, *, fewest: int) -> list[range]:
    """The rows in as many parts as torch has threads, each of at least ``fewest`` where there are two.

    >>> shares_of(5, fewest=8)
    [range(0, 5)]
    """
    count = max(1, min(torch.get_num_threads(), num_rows // fewest))
    edges = [num_rows * part // count for part in range(count + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


@functools.cache
def threads() -> ThreadPoolExecutor:
    """What the shares of C's work run on; C gives Python's lock back."""
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="native")


os.register_at_fork(after_in_child=threads.cache_clear)  # a child of a fork has none of the parent's threads
