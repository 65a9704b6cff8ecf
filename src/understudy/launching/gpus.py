"""Which process of a machine has which of its GPUs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass

from understudy.launching.order import Order

_ASK = ("nvidia-smi", "--query-gpu=index", "--format=csv,noheader")


@dataclass(frozen=True)
class Shares:
    """Devices of one machine.

    Args:
        trainer: of its ranks, one each. servers: of each server in order. notice: what is shared, in a sentence.
    """

    trainer: tuple[int, ...] = ()
    servers: tuple[tuple[int, ...], ...] = ()
    notice: str | None = None

    def sharers(self, server: int) -> int:
        """How many servers have the first device of this one."""
        firsts = Counter(gpus[:1] for gpus in self.servers)
        return max(1, firsts[self.servers[server][:1]]) if self.servers[server] else 1


def shared_out(order: Order, num_servers: int) -> Shares:
    """The ranks first, one GPU each; the servers have what is left, and share it where it does not go round.

    >>> shared_out(Order(ranks=2, samplers=1, gpus=4), 2)
    Shares(trainer=(0, 1), servers=((2,), (3,)), notice=None)
    """
    if not order.gpus:
        return Shares(servers=((),) * num_servers)
    trainer = tuple(range(order.ranks))
    left = tuple(range(order.ranks, order.gpus)) or trainer
    wanted = min(order.server_gpus, len(left))
    seats = [tuple(left[(number * wanted + one) % len(left)] for one in range(wanted)) for number in range(num_servers)]
    notice = None
    if num_servers and left == trainer:
        notice = "Servers share the GPUs of the ranks: all of them must fit into their memory together."
    elif num_servers * order.server_gpus > len(left):
        notice = f"{num_servers} servers share {len(left)} GPU(s): they wait for each other, and for memory."
    return Shares(trainer, tuple(seats), notice)


def gpus_here() -> int:
    """How many GPUs this process may use; 0 where nobody can tell."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    if shutil.which(_ASK[0]) is None:
        return 0
    try:
        asked = subprocess.run(_ASK, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return len(asked.stdout.split()) if asked.returncode == 0 else 0
