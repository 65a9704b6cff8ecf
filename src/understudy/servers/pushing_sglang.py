"""A push in SGLang's form."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from understudy.servers.cargo import Cargo
from understudy.servers.http import Call, RefusedError
from understudy.servers.pool import ServerPool
from understudy.servers.pushing import beside, once, resuming, sender
from understudy.servers.weight_group import NAME, Backend, TorchGroup, WeightGroup, hosted_store
from understudy.servers.weights import post, succeeded


@dataclass(frozen=True)
class SglangForm:
    """Implements ``Form``.

    Args:
        backend: of the group. workers: ranks of each server (its ``--tp``). seconds: bound on each wait of this end.
    """

    backend: Backend
    seconds: float

    async def opened(self, pool: ServerPool, address: str) -> WeightGroup:
        """See ``Form``."""
        workers = await once(pool, Call("/server_info", lambda told: int(told.get("tp_size") or 1)))
        store = hosted_store(address, seconds=self.seconds)
        made: list[TorchGroup] = []
        backend, seconds, size = self.backend, self.seconds, 1 + workers

        def join() -> None:
            made.append(TorchGroup(store, backend, rank=0, size=size, address=address, seconds=seconds))

        body = {
            "master_address": address,
            "master_port": store.port,
            "rank_offset": 1,
            "world_size": size,
            "group_name": NAME,
            # One transport alone: by the name of gloo that end would make another for its GPUs, and wait for it.
            "backend": backend if backend == "nccl" else "cpu:gloo",
        }
        # One that is left of an earlier session would stand in the way of this one.
        with contextlib.suppress(RefusedError):
            await once(pool, post("/destroy_weights_update_group", {"group_name": NAME}))
        await beside(pool, Call("/init_weights_update_group", succeeded, body), join)
        return made[0]

    async def pushed(self, pool: ServerPool, group: WeightGroup, cargo: Cargo) -> None:
        """See ``Form``."""
        await once(pool, post("/pause_generation", {"mode": "retract"}))
        async with resuming(pool, post("/continue_generation", {})):
            buckets = list(cargo.buckets())
            for number, names in enumerate(buckets):
                body: dict[str, object] = {**cargo.listing(names, dtypes="dtypes"), "group_name": NAME}
                if number == len(buckets) - 1:  # named and flushed once all is there
                    body |= {"weight_version": cargo.label, "flush_cache": True}
                else:
                    body |= {"flush_cache": False}
                call = Call("/update_weights_from_distributed", succeeded, body)
                await beside(pool, call, sender(group, cargo, names))
