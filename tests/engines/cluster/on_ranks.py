"""Real processes as ranks of one run: forked from a server that has imported everything once, met over gloo."""

from __future__ import annotations

import ctypes
import multiprocessing as mp
import multiprocessing.context
import os
import runpy
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from understudy.cli import main

_PR_SET_PDEATHSIG = 1
_PRELOAD = [
    "torch",
    "transformers",
    "peft",
    "torch.distributed.run",
    "understudy.api",
    "tests.engines.cluster.on_ranks",
]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def started(work: Callable[..., None], size: int, *args: object) -> list[BaseProcess]:
    """``work(*args)`` on ``size`` ranks, each with torchrun's variables."""
    context = _context()
    port = free_port()
    processes = [context.Process(target=_as_rank, args=(rank, size, port, work, *args)) for rank in range(size)]
    for process in processes:
        process.start()
    return list(processes)


def on_ranks(work: Callable[..., None], size: int, *args: object) -> None:
    """The same, waited for; every rank must end well."""
    for process in (processes := started(work, size, *args)):
        process.join(timeout=240)
    assert [process.exitcode for process in processes] == [0] * size


def command(arguments: Sequence[str], log: Path) -> None:
    """``understudy ARGUMENTS`` on this rank, what it says in ``log-RANK``."""
    _say_into(log.with_name(f"{log.name}-{os.environ['RANK']}"))
    sys.argv = ["understudy", *arguments]
    main()


@dataclass(frozen=True)
class Torchrun:
    """torchrun, with the ranks that it started.

    Args:
        process: its own. log: what it and its ranks say. ranks: folder with a file for each, which holds its pid.
    """

    process: BaseProcess
    log: Path
    ranks: Path

    def pid_of(self, rank: int) -> int:
        """Of a rank that has begun."""
        return int((self.ranks / str(rank)).read_text())

    def ended(self, *, seconds: float = 120) -> int:
        """Wait for its end; its exit status."""
        self.process.join(timeout=seconds)
        assert self.process.exitcode is not None, self.log.read_text()
        return self.process.exitcode

    def left(self) -> list[str]:
        """Ranks that live still."""
        return [file.name for file in self.ranks.iterdir() if Path("/proc", file.read_text()).exists()]


def under_torchrun(
    size: int, arguments: Sequence[str], folder: Path, *, module: str = "torch.distributed.run"
) -> Torchrun:
    """``torchrun --nproc-per-node SIZE -m understudy ARGUMENTS``, forked so that nobody imports anything again.

    Args:
        arguments: ``{rank}`` in them is the rank's number.
        folder: for its log, and for files that name its ranks. module: what stands in for ``torchrun``.
    """
    ranks = folder / "ranks"
    ranks.mkdir(parents=True)
    process = _context().Process(target=_as_torchrun, args=(size, list(arguments), folder, module))
    process.start()
    return Torchrun(process, folder / "log", ranks)


def _as_torchrun(size: int, arguments: Sequence[str], folder: Path, module: str) -> None:
    os.setsid()
    _say_into(folder / "log")
    options = ["--standalone", f"--nproc-per-node={size}", "--start-method=fork", "--run-path"]
    sys.argv = ["torchrun", *options, __file__, str(folder / "ranks"), *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _as_torchruns_rank(ranks: Path, arguments: Sequence[str]) -> None:
    """What torchrun makes of ``-m understudy ARGUMENTS``: a session of its own, which no Ctrl-C reaches."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)  # torch.multiprocessing's
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    (ranks / os.environ["RANK"]).write_text(str(os.getpid()))
    sys.argv = ["understudy", *(argument.replace("{rank}", os.environ["RANK"]) for argument in arguments)]
    main()


def _say_into(log: Path) -> None:
    with log.open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)


def _context() -> mp.context.ForkServerContext:
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    return context


def _as_rank(rank: int, size: int, port: int, work: Callable[..., None], *args: object) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size)}
    work(*args)


if __name__ == "__main__":
    _as_torchruns_rank(Path(sys.argv[1]), sys.argv[2:])
