"""A push in vLLM's form, which ``understudy serve`` has as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from understudy.servers.cargo import Cargo
from understudy.servers.decoding import entry
from understudy.servers.http import Call, RefusedError
from understudy.servers.pool import ServerPool
from understudy.servers.pushing import beside, once, resuming, sender
from understudy.servers.weight_group import Backend, TorchGroup, UniqueIdGroup, WeightGroup, hosted_store
from understudy.servers.weights import flush, post, without_updates


@dataclass(frozen=True)
class VllmForm:
    """Implements ``Form``.

    Args:
        backend: of the group with ``understudy serve``; None for vLLM, which joins a bare NCCL communicator.
        seconds: bound on each wait of this end.
    """

    backend: Backend | None
    seconds: float

    async def opened(self, pool: ServerPool, address: str) -> WeightGroup:
        """See ``Form``."""
        try:
            workers = await once(pool, Call("/get_world_size?include_dp=true", _workers))
        except RefusedError as error:
            raise without_updates(error) from error
        info: dict[str, object] = {"rank_offset": 1, "world_size": 1 + workers, "packed": False}
        if self.backend is None:
            bare = UniqueIdGroup(size=1 + workers)
            await beside(pool, _init({**info, "nccl_unique_id_b64": bare.identifier}), bare.join)
            return bare
        store = hosted_store(address, seconds=self.seconds)
        made: list[TorchGroup] = []
        size, backend, seconds = 1 + workers, self.backend, self.seconds

        def join() -> None:
            made.append(TorchGroup(store, backend, rank=0, size=size, address=address, seconds=seconds))

        info |= {"master_address": address, "master_port": store.port, "backend": backend}
        await beside(pool, _init(info), join)
        return made[0]

    async def pushed(self, pool: ServerPool, group: WeightGroup, cargo: Cargo) -> None:
        """See ``Form``."""
        await once(pool, post("/pause?mode=wait", {}))
        async with resuming(pool, post("/resume", {})):
            # Only our own server reads the list, and refuses before anything has been sent what it cannot take.
            everything = {} if self.backend is None else cargo.listing(list(cargo.tensors))
            await once(pool, post("/start_weight_update", everything))
            for names in cargo.buckets():
                told = {"update_info": cargo.listing(names)}
                await beside(pool, post("/update_weights", told), sender(group, cargo, names))
            await once(pool, post("/finish_weight_update", {"weight_version": cargo.label}))
            await flush(pool)


def _workers(answer: Any) -> int:
    return int(entry(answer, "world_size"))


def _init(info: dict[str, object]) -> Call[None]:
    return post("/init_weight_transfer_engine", {"init_info": info})
