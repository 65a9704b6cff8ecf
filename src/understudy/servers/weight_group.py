"""A process group of a trainer and one server, apart from every other group that either process has.

Rank 0 is the trainer, the others are the server's workers. Nothing is registered with ``torch.distributed``: ranks
under torchrun have a default group, which these neither need nor touch, and one process may hold both ends.
"""

from __future__ import annotations

import base64
import socket
from datetime import timedelta
from typing import Any, Literal, Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from understudy.errors import CapabilityError

Backend = Literal["gloo", "nccl"]
NAME = "understudy_weights"
"""What the group is called where both ends must say the same."""


class WeightGroup(Protocol):
    """One end of a group."""

    def broadcast(self, tensor: Tensor) -> None:
        """Rank 0's values into every other rank's tensor ([...], contiguous); returns when this end is done.

        Raises:
            RuntimeError: another end is gone, or the time is over; the group cannot be used any more.
        """

    def close(self) -> None:
        """Let go of it; another end that waits for this one fails."""


class TorchGroup:
    """Implements ``WeightGroup`` over gloo, or NCCL.

    Args:
        store: where the ends find each other. backend: of the transport. rank, size: of this end.
        address: of this machine, on which it listens (gloo). name: the same at all ends. seconds: bound on each wait.
    Raises:
        RuntimeError: the others do not come. CapabilityError: this build of torch has no NCCL.
    """

    def __init__(
        self,
        store: dist.Store,
        backend: Backend,
        *,
        rank: int,
        size: int,
        address: str,
        name: str = NAME,
        seconds: float,
    ) -> None:
        self.device = torch.device("cuda", torch.cuda.current_device()) if backend == "nccl" else torch.device("cpu")
        # The prefixes are those of a group that torch.distributed makes itself: SGLang's end is one of these.
        for prefix in (name, f"{name}/", f"{self.device.type}/"):
            store = dist.PrefixStore(prefix, store)
        self._store = store
        make = _nccl if backend == "nccl" else _gloo
        self._backend = make(store, rank, size, address, timedelta(seconds=seconds))

    def broadcast(self, tensor: Tensor) -> None:
        """See ``WeightGroup``."""
        if tensor.numel():
            there = tensor.to(self.device)
            self._backend.broadcast(there, 0).wait()
            if there is not tensor:
                tensor.copy_(there)

    def close(self) -> None:
        """See ``WeightGroup``."""
        self._backend = None


class UniqueIdGroup:
    """Implements ``WeightGroup`` with a bare NCCL communicator, rank 0 of it, as vLLM's workers have one.

    Args:
        size: of all ranks.
    Attributes:
        identifier: what the other ends are given, in base64.
    Raises:
        CapabilityError: there is no GPU.
    """

    def __init__(self, *, size: int) -> None:
        if not torch.cuda.is_available():
            raise CapabilityError(
                "vLLM takes weights from a process group by NCCL alone",
                got="a student on the CPU",
                remedy="Train on a GPU, or set rollout.weights: disk.",
            )
        self._size, self._comm = size, None
        self._raw: Any = torch.cuda.nccl.unique_id()
        self.identifier = base64.b64encode(bytes(self._raw)).decode()

    def join(self) -> None:
        """Meet the other ends, which enter at the same time; they begin with a sum over one element."""
        nccl: Any = torch.cuda.nccl
        self._comm = nccl.init_rank(self._size, self._raw, 0)
        nccl.all_reduce([torch.zeros(1, device="cuda")], comms=[self._comm])
        torch.cuda.synchronize()

    def broadcast(self, tensor: Tensor) -> None:
        """See ``WeightGroup``."""
        nccl: Any = torch.cuda.nccl
        nccl.broadcast([tensor.to("cuda")], root=0, comms=[self._comm])
        torch.cuda.synchronize()

    def close(self) -> None:
        """See ``WeightGroup``."""
        self._comm = None


def hosted_store(address: str, *, seconds: float) -> dist.TCPStore:
    """A store on a free port of this address alone, for a rank 0; its ``port`` says which."""
    listening = socket.create_server((address, 0), family=_family(address))
    port = int(listening.getsockname()[1])
    wait = timedelta(seconds=seconds)
    return dist.TCPStore(address, port, None, True, wait, wait_for_workers=False, master_listen_fd=listening.detach())


def joined_store(address: str, port: int, *, seconds: float) -> dist.TCPStore:
    """The store that a rank 0 has there; raises RuntimeError where nobody answers."""
    return dist.TCPStore(address, port, None, False, timedelta(seconds=seconds), wait_for_workers=False)


def own_address(host: str, port: int) -> str:
    """The address of this machine from which that host is reached; sends nothing."""
    family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as towards:
        towards.connect(target)
        return str(towards.getsockname()[0])


def _gloo(store: dist.Store, rank: int, size: int, address: str, wait: timedelta) -> Any:
    made: Any = dist.ProcessGroupGloo
    options = made._Options()
    # Named, because gloo would take the address that this machine's name has, if it has one.
    options._devices = [made.create_device(hostname=address)]
    options._timeout = wait
    return made(store, rank, size, options)


def _nccl(store: dist.Store, rank: int, size: int, address: str, wait: timedelta) -> Any:  # noqa: ARG001
    made = getattr(dist, "ProcessGroupNCCL", None)
    if made is None:
        raise CapabilityError("this build of torch has no NCCL", remedy="Install one for CUDA.")
    return made(store, rank, size, wait)


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
