"""The student's weights cut over the ranks, and the module inside which they are whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate

from understudy.engines.local.checkpointing import layers_of
from understudy.models.loss_module import LossModule

Result = TypeVar("Result")


class Inside(nn.Module):
    """forward(work) -> work(): whatever is done with the student is done while its weights are gathered.

    Args:
        loss_module: backbone and head; the head's weights belong to this module's own group.
    """

    def __init__(self, loss_module: LossModule) -> None:
        super().__init__()
        self.loss_module = loss_module

    def forward(self, work: Callable[[], Any]) -> Any:
        """The result of ``work``; tensors in it that carry a graph may be differentiated afterwards."""
        return work()


def sharded(loss_module: LossModule, mesh: DeviceMesh, *, autocast: bool, offload: bool) -> Inside:
    """The module with each layer's weights, and all others together, cut over the ranks; gradients are sums.

    Args:
        autocast: layers are gathered in bfloat16, which their products take; their gradients are added in float32.
        offload: shards live in the CPU's memory.
    """
    inside = Inside(loss_module)
    small = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False)
    home = CPUOffloadPolicy(pin_memory=mesh.device_type == "cuda") if offload else OffloadPolicy()
    for layer in layers_of(loss_module.model):
        fully_shard(layer, mesh=mesh, offload_policy=home, mp_policy=small if autocast else MixedPrecisionPolicy())
        _summing(layer)
    fully_shard(inside, mesh=mesh, offload_policy=home)
    _summing(inside)
    return inside


def resharded(inside: nn.Module) -> None:
    """Let go of gathered weights, so that the next use gathers what they are then."""
    for module in inside.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def shard_of(parameter: nn.Parameter) -> Tensor:
    """This rank's part of a weight, sharing its memory."""
    assert isinstance(parameter, DTensor)
    return parameter.to_local().detach()


def like(parameter: nn.Parameter, shard: Tensor) -> DTensor:
    """A tensor of the weight's global shape whose part on this rank is ``shard``."""
    assert isinstance(parameter, DTensor)
    return DTensor.from_local(
        shard,
        parameter.device_mesh,
        parameter.placements,
        run_check=False,
        shape=parameter.shape,
        stride=parameter.stride(),
    )


def part_of(parameter: Tensor, whole: Tensor) -> Tensor:
    """What of a whole tensor stands on this rank where the weight's part does; a view."""
    assert isinstance(parameter, DTensor)
    place, mesh = parameter.device_mesh.get_coordinate(), parameter.device_mesh
    assert place is not None
    # A weight was first divided over peers, which are the last axis of the mesh, and then sharded.
    for axis, placement in reversed(list(enumerate(parameter.placements))):
        if not placement.is_replicate():
            parts = whole.chunk(mesh.size(axis), placement.dim)  # type: ignore[attr-defined]
            whole = parts[place[axis]] if place[axis] < len(parts) else whole.narrow(placement.dim, 0, 0)  # type: ignore[attr-defined]
    return whole


def gathered(parameter: nn.Parameter) -> Tensor:
    """The whole weight on every rank; every rank must ask for it."""
    whole = parameter.detach()
    assert isinstance(whole, DTensor)
    for axis in range(whole.device_mesh.ndim):  # one after the other: torch warns of a weight that is cut twice
        whole = whole.redistribute(placements=[Replicate()] * (axis + 1) + list(whole.placements[axis + 1 :]))
    return whole.to_local()


def copies_of(parameter: nn.Parameter, ranks: int) -> int:
    """On how many of all ranks each element of the weight stands."""
    assert isinstance(parameter, DTensor)
    for placement, size in zip(parameter.placements, parameter.device_mesh.shape, strict=True):
        ranks //= 1 if placement.is_replicate() else size
    return ranks


def _summing(module: nn.Module) -> None:
    assert isinstance(module, FSDPModule)
    module.set_gradient_divide_factor(1.0)
    module.set_force_sum_reduction_for_comms(True)  # gloo has no other sum
