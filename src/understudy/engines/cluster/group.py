"""The ranks of a run as torchrun started them: who this one is, and what crosses between them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from understudy.engines.cluster.meeting import Meeting
from understudy.errors import RankLostError, UserMistakeError
from understudy.torchrun.orphans import end_with_torchrun
from understudy.torchrun.telling import is_first_to_say, mark_told, met
from understudy.world import quantile

# Ranks wait for the first one while it examines the student, which may take hours; one that died is noticed at once.
_PATIENCE = timedelta(days=7)
_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Connection refused", "NCCL", "gloo")


@dataclass(frozen=True)
class Place:
    """Which of how many ranks.

    Args:
        rank: number of this one, from 0. size: how many. local_rank: its number on this machine.
        is_one_machine: all ranks are on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    is_one_machine: bool = True


def place_of(environment: Mapping[str, str]) -> Place:
    """The place that torchrun's variables name; the only rank without them.

    >>> place_of({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"})
    Place(rank=1, size=2, local_rank=1, is_one_machine=True)

    Raises:
        UserMistakeError: they contradict each other, or are no numbers.
    """
    try:
        rank, size = int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1))
        local, here = int(environment.get("LOCAL_RANK", rank)), int(environment.get("LOCAL_WORLD_SIZE", size))
    except ValueError as error:
        raise UserMistakeError("RANK, WORLD_SIZE and LOCAL_RANK are no numbers", got=error) from error
    if not 0 <= rank < size:
        raise UserMistakeError("RANK is none of the ranks", got=rank, expected=f"0 to {size - 1}, by WORLD_SIZE")
    return Place(rank, size, local, is_one_machine=here == size)


class Group:
    """Implements ``World`` and ``Ranks`` over torch.distributed; make it with ``join``.

    Args:
        place: of this rank. mesh: of the ranks among which each weight is sharded. control: all ranks of the CPU, for
            figures and messages. peers: ranks that divide the products of each layer; None: nobody does.
    """

    def __init__(
        self, place: Place, mesh: DeviceMesh, control: dist.ProcessGroup, peers: DeviceMesh | None = None
    ) -> None:
        self.rank, self.size = place.rank, place.size
        self.mesh, self.control, self.peers = mesh, control, peers
        self._meetings = 0

    def sum(self, value: Tensor) -> Tensor:
        """Element-wise sum over ranks."""
        return self._reduced(value, dist.ReduceOp.SUM)

    def min(self, value: Tensor) -> Tensor:
        """Element-wise minimum over ranks."""
        return self._reduced(value, dist.ReduceOp.MIN)

    def max(self, value: Tensor) -> Tensor:
        """Element-wise maximum over ranks."""
        return self._reduced(value, dist.ReduceOp.MAX)

    def quantile(self, values: Tensor, q: float) -> Tensor:
        """The q-quantile of all ranks' 1-D values together; NaN where there are none."""
        wide = values.detach().cpu().double()
        told = _gathered(_bytes(wide), self.control)
        parts = [torch.frombuffer(bytearray(part), dtype=torch.float64) for part in told if part]
        return quantile(torch.cat([wide[:0], *parts]), q).to(values.dtype)

    def gather(self, content: bytes) -> list[bytes]:
        """What every rank brought, in their order, on every rank."""
        return _gathered(content, self.control)

    def gather_from_peers(self, content: bytes) -> list[bytes]:
        """What every rank that divides products with this one brought, in their order, on each of them."""
        return [content] if self.peers is None else _gathered(content, self.peers.get_group())

    def meeting(self) -> Meeting:
        """For a thread beside the one that trains; every rank makes its meetings in the same order."""
        self._meetings += 1
        store = dist.distributed_c10d._get_default_store()
        return Meeting(store, f"understudy meeting {self._meetings}", self.size)

    def largest(self, count: int) -> int:
        """The largest of the ranks' counts."""
        return int(self.max(torch.tensor(count)))

    def _reduced(self, value: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        is_flag = value.dtype == torch.bool
        whole = value.detach().cpu().to(torch.uint8 if is_flag else value.dtype, copy=True).contiguous()
        with noticing_loss():
            dist.all_reduce(whole, operation, group=self.control)
        return whole.to(value.device, value.dtype)


def join(device: str, environment: Mapping[str, str] | None = None, *, tensor_parallel: int = 1) -> Group:
    """Meet the other ranks; where torch.distributed stands already, it is taken as it is.

    Args:
        device: ``cpu`` (gloo) or ``cuda`` (NCCL, one GPU a rank).
        environment: torchrun's variables; None: those of the process.
        tensor_parallel: neighbours that divide the products of each layer.
    Raises:
        UserMistakeError: the variables are wrong. RankLostError: the others cannot be met.
    """
    place = place_of(os.environ if environment is None else environment)
    if place.size % tensor_parallel:
        raise UserMistakeError(
            "the ranks do not come out even",
            got=f"{place.size} ranks, engine.tensor_parallel: {tensor_parallel}",
            expected=f"a multiple of {tensor_parallel} ranks",
            remedy="Start another number of ranks (torchrun --nproc-per-node), or set engine.tensor_parallel.",
        )
    if device == "cuda":
        torch.cuda.set_device(place.local_rank)
    if not dist.is_initialized():
        end_with_torchrun()
        met()
        _initialise(place, device)
    with noticing_loss():
        control = dist.new_group(backend="gloo", timeout=_PATIENCE)
        assert control is not None
        if tensor_parallel == 1:
            return Group(place, init_device_mesh(device, (place.size,), mesh_dim_names=("shard",)), control)
        shape = (place.size // tensor_parallel, tensor_parallel)
        both = init_device_mesh(device, shape, mesh_dim_names=("shard", "tensor"))
        return Group(place, both["shard"], control, both["tensor"])


def leave() -> None:
    """Part from the other ranks; nothing where they were never met."""
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def noticing_loss() -> Iterator[None]:
    """Within the block, that another rank has gone is said in one sentence; raises RankLostError."""
    try:
        yield
    except RuntimeError as error:
        if not is_loss(error):
            raise
        lost = RankLostError(
            "another rank of this run has ended, and the others cannot go on without it",
            remedy="What it said stands above, if it had the time; --resume goes on from the last checkpoint.",
        )
        # Said here and now: torchrun ends this rank as well, as soon as it sees that the other is gone.
        if is_first_to_say("another rank is lost"):
            print(f"understudy: rank {os.environ.get('RANK', 0)}: {lost}", file=sys.stderr, flush=True)
            mark_told()
        lost.is_told = True  # type: ignore[attr-defined]
        raise lost from error


def is_loss(error: BaseException) -> bool:
    """Whether an error says that another rank cannot be reached."""
    return isinstance(error, dist.DistBackendError | dist.DistNetworkError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in _LOST)
    )


def _gathered(content: bytes, group: dist.ProcessGroup) -> list[bytes]:
    with noticing_loss():
        sizes = torch.zeros(dist.get_world_size(group), dtype=torch.int64)
        sizes[dist.get_rank(group)] = len(content)
        dist.all_reduce(sizes, group=group)
        longest = int(sizes.max())
        mine = torch.zeros(longest, dtype=torch.uint8)
        mine[: len(content)] = torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else mine[:0]
        parts = [torch.empty_like(mine) for _ in sizes]
        dist.all_gather(parts, mine, group=group)
    return [part[:size].numpy().tobytes() for part, size in zip(parts, sizes.tolist(), strict=True)]


def _initialise(place: Place, device: str) -> None:
    if place.is_one_machine:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    with noticing_loss():
        if place.size == 1:
            dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
        else:
            dist.init_process_group(backend, rank=place.rank, world_size=place.size)


def _bytes(values: Tensor) -> bytes:
    return values.contiguous().numpy().tobytes()
