"""Several ranks as threads of one process: every reduction waits for all of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from understudy.world import World, quantile

Result = TypeVar("Result")


class ThreadWorld:
    """One rank's view of ``size`` threads."""

    def __init__(self, rank: int, size: int, barrier: threading.Barrier, board: list[Tensor | None]) -> None:
        self.rank, self.size, self._barrier, self._board = rank, size, barrier, board

    def _gather(self, value: Tensor) -> list[Tensor]:
        self._board[self.rank] = value
        self._barrier.wait(timeout=30)
        gathered = [entry.clone() for entry in self._board if entry is not None]
        self._barrier.wait(timeout=30)
        return gathered

    def sum(self, value: Tensor) -> Tensor:
        return torch.stack(self._gather(value)).sum(0)

    def min(self, value: Tensor) -> Tensor:
        return torch.stack(self._gather(value)).amin(0)

    def max(self, value: Tensor) -> Tensor:
        return torch.stack(self._gather(value)).amax(0)

    def quantile(self, values: Tensor, q: float) -> Tensor:
        return quantile(torch.cat(self._gather(values)), q)


def on_ranks(work: Callable[[int, World], Result], size: int) -> list[Result]:
    """The results of ``work(rank, world)`` on every rank."""
    barrier, board = threading.Barrier(size), [None] * size
    with ThreadPoolExecutor(size) as pool:
        jobs = [pool.submit(work, rank, ThreadWorld(rank, size, barrier, board)) for rank in range(size)]
        return [job.result() for job in jobs]
