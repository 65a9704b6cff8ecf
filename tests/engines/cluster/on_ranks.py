"""Real processes as ranks of one run: forked from a server that has imported everything once, met over gloo."""

from __future__ import annotations

import multiprocessing as mp
import os
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from understudy.cli import main

_PRELOAD = ["torch", "transformers", "peft", "understudy.api", "tests.engines.cluster.on_ranks"]


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def started(work: Callable[..., None], size: int, *args: object) -> list[BaseProcess]:
    """``work(*args)`` on ``size`` ranks, each with torchrun's variables."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
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
    with log.with_name(f"{log.name}-{os.environ['RANK']}").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.argv = ["understudy", *arguments]
        main()


def _as_rank(rank: int, size: int, port: int, work: Callable[..., None], *args: object) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size)}
    work(*args)
