"""Weights on their way from a trainer's process group: nothing of them is the model's until all are there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor

from understudy.errors import UserMistakeError
from understudy.models.load import DTYPES
from understudy.servers.weight_group import Backend, TorchGroup, WeightGroup, joined_store, own_address
from understudy.serving.refusal import Refusal, bad_request, unavailable
from understudy.serving.resident import Resident
from understudy.serving.wire import GroupInfo, ListingBody

SECONDS = 60.0
"""Bound on each wait for the trainer."""


class Inbox:
    """This server's end of the group, and what has come through it.

    Methods may be called from any thread, one at a time; the next one meanwhile is refused.

    Args:
        resident: the model that the weights are for. seconds: bound on each wait for the trainer.
    """

    def __init__(self, resident: Resident, *, seconds: float = SECONDS) -> None:
        self._resident, self._seconds = resident, seconds
        self._group: WeightGroup | None = None
        self._staged: dict[str, Tensor] | None = None
        self._busy = threading.Lock()

    def join(self, info: GroupInfo) -> None:
        """Become the last rank of the trainer's group, in place of any before; raises Refusal where it is not there."""
        backend = _checked(info)
        with self._alone():
            self.leave()
            try:
                address = own_address(info.master_address, info.master_port)
                store = joined_store(info.master_address, info.master_port, seconds=self._seconds)
                self._group = TorchGroup(
                    store, backend, rank=info.rank_offset, size=info.world_size, address=address, seconds=self._seconds
                )
            except UserMistakeError as error:
                raise bad_request(str(error)) from error
            except (RuntimeError, OSError) as error:
                raise unavailable(f"the trainer is not at {info.master_address}:{info.master_port}") from error

    def leave(self) -> None:
        """Let go of the group and of what has come through it."""
        if self._group is not None:
            self._group.close()
        self._group, self._staged = None, None

    def begin(self, listing: ListingBody) -> None:
        """A new set of weights; where it is listed it is looked at first: raises Refusal where it does not fit."""
        with self._alone():
            self._joined()
            if listing.names:
                self._check(listing)
                self._check_whole(listing.names)
            self._staged = {}

    def receive(self, listing: ListingBody) -> None:
        """The tensors of the list, in its order.

        Raises:
            Refusal: they do not fit the model, or stop coming; the group is left then, so that nobody waits.
        """
        with self._alone():
            group = self._joined()
            staged, own = self._begun(), self._resident.adapters.base_state()
            try:
                self._check(listing)
                for name, shape, dtype in zip(listing.names, listing.shapes, listing.dtype_names, strict=True):
                    there = torch.empty(shape, dtype=DTYPES[dtype])
                    group.broadcast(there)
                    staged[name] = there.to(own[name].dtype)
            except Refusal:
                self.leave()
                raise
            except RuntimeError as error:
                self.leave()
                raise unavailable("the trainer has gone before all weights were here") from error

    def finished(self) -> Mapping[str, Tensor]:
        """All that has come, ready for the model; raises Refusal where a weight is missing, NaN or infinite."""
        with self._alone():
            staged = self._begun()
            self._staged = None
            self._check_whole(staged)
            for name, value in staged.items():
                if not bool(value.isfinite().all()):
                    raise bad_request(f"the weight {name!r} holds NaN or infinity", param=name)
            return staged

    def _joined(self) -> WeightGroup:
        if self._group is None:
            raise bad_request("there is no group with a trainer: /init_weight_transfer_engine makes one")
        return self._group

    def _begun(self) -> dict[str, Tensor]:
        if self._staged is None:
            raise bad_request("no update of the weights has been begun: /start_weight_update begins one")
        return self._staged

    def _check(self, listing: ListingBody) -> None:
        if not len(listing.names) == len(listing.dtype_names) == len(listing.shapes):
            raise bad_request("names, dtype_names and shapes must be of one length", param="names")
        own = self._resident.adapters.base_state()
        for name, shape, dtype in zip(listing.names, listing.shapes, listing.dtype_names, strict=True):
            if name not in own:
                raise bad_request(f"the model has no weight {name!r}", param="names")
            if list(own[name].shape) != shape:
                expected = list(own[name].shape)
                raise bad_request(f"the weight {name!r} has the shape {shape}, the model's {expected}", param="shapes")
            if dtype not in DTYPES:
                raise bad_request(f"the dtype {dtype!r} of {name!r} is not known", param="dtype_names")

    def _check_whole(self, names: list[str] | Mapping[str, Tensor]) -> None:
        """A weight that is shared is there under any of its names."""
        own = self._resident.adapters.base_state()
        filled = {own[name].data_ptr() for name in names}
        wanted = self._resident.adapters.base_weights()
        missing = [name for name, value in wanted.items() if value.data_ptr() not in filled]
        if missing:
            more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise bad_request(f"the weight {missing[0]!r} is missing{more}", param="names")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise unavailable("weights are on their way already")
        try:
            yield
        finally:
            self._busy.release()


def _checked(info: GroupInfo) -> Backend:
    if info.packed:
        raise bad_request("packed is not supported by this server; leave it out", param="packed")
    if info.backend not in ("gloo", "nccl"):
        raise bad_request(f"the backend {info.backend!r} is not known; gloo and nccl are", param="backend")
    if info.rank_offset != info.world_size - 1:
        raise bad_request("this server is one rank, the last: world_size must be rank_offset + 1", param="world_size")
    return cast(Backend, info.backend)
