"""The products of each layer divided over ranks that read the same contexts, by transformers' plan for the model.

A matrix keeps some of its rows (``colwise``) or columns (``rowwise``) on each of these ranks, its peers. A layer's
input goes in whole; what the peers make of it is added up where the plan has it whole again. Weights that the plan
does not name are whole on every peer. The collectives, and their gradients, are those of DTensor.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

from understudy.engines.local.modes import Columns
from understudy.errors import CapabilityError
from understudy.models.forward import backbone, causal_lm
from understudy.models.head import Head

_REMEDY = "Leave engine.tensor_parallel out; a model that does not fit is sharded over more ranks."


@dataclass(frozen=True)
class Division:
    """What was divided.

    Args:
        peers: the ranks that read together. partial: weights that are whole on each of them, whose gradients are in
            parts. named: all that are divided.
    """

    peers: DeviceMesh
    partial: frozenset[str]
    named: frozenset[str]

    def add_up(self, name: str, gradient: Tensor) -> None:
        """Make the gradient of a weight that is not divided that of all peers, the same on each to the bit."""
        if name in self.named:
            return
        dist.all_reduce(gradient, group=self.peers.get_group())
        if name not in self.partial:
            gradient.div_(self.peers.size())


def divided(model: nn.Module, head: Head, peers: DeviceMesh) -> Division:
    """Divide the layers of a model that is whole on every peer; call it before the weights are sharded.

    Raises:
        CapabilityError: transformers has no plan for it, or one that is not known here, or heads do not come out even.
    """
    partial, named = _around(model, head, peers), set()
    for name, module, style in list(_styled(model, peers.size())):
        for suffix, inner in module.named_modules():
            _compute_locally(inner, style, peers)
            for weight, _ in list(inner.named_parameters(recurse=False)):
                full = ".".join(part for part in (name, suffix, weight) if part)
                axis = _axis(style, full)
                if axis is None:
                    partial.add(full)
                else:
                    named.add(full)
                    _cut(inner, weight, axis, peers)
        _join(module, style, peers)
    return Division(peers, frozenset(partial), frozenset(named))


def why_not_divided(model: nn.Module, count: int) -> str | None:
    """None where transformers' plan of the model is known here and comes out even for so many peers; else why not."""
    inner = causal_lm(model)
    plan = inner.config.get_text_config().base_model_tp_plan
    if not plan:
        return "transformers has no tensor-parallel plan for it"
    unknown = sorted({style for style in plan.values() if style not in _STYLES})
    if unknown:
        return f"its plan has {', '.join(unknown)}, which is not known here"
    text = inner.config.get_text_config()
    for field in ("num_attention_heads", "num_key_value_heads", "intermediate_size"):
        if (size := getattr(text, field, None)) is not None and size % count:
            return f"its {field}, {size}, cannot be divided by {count}"
    return None


_STYLES = ("colwise", "rowwise", "replicated_with_grad_allreduce")


def _styled(model: nn.Module, count: int) -> Iterator[tuple[str, nn.Module, str]]:
    """Each module that the plan names, by its name in ``model``, and what becomes of it."""
    reason = why_not_divided(model, count)
    if reason is not None:
        raise CapabilityError(
            f"the products of this student cannot be divided over {count} ranks: {reason}",
            got=type(causal_lm(model)).__name__,
            remedy=_REMEDY,
        )
    inside = backbone(model)
    prefix = next(name for name, module in model.named_modules() if module is inside)
    plan = causal_lm(model).config.get_text_config().base_model_tp_plan
    for pattern, style in plan.items():
        rule = re.compile(re.escape(pattern).replace(r"\*", r"\d+"))
        for name, module in inside.named_modules():
            if rule.fullmatch(name):
                yield f"{prefix}.{name}" if prefix else name, module, style


def _axis(style: str, name: str) -> int | None:
    """Along which axis the weight of that name is cut; None: it is whole on every peer."""
    if style == "colwise":
        return None if ".lora_A." in name else 0
    if style == "rowwise":
        return None if ".lora_B." in name or name.endswith("bias") else 1
    return None


def _cut(module: nn.Module, name: str, axis: int, peers: DeviceMesh) -> None:
    whole = module._parameters[name]
    assert whole is not None
    own = whole.detach().chunk(peers.size(), axis)[peers.get_local_rank()].clone(memory_format=torch.contiguous_format)
    part = DTensor.from_local(own, peers, [Shard(axis)], run_check=False)
    module._parameters[name] = nn.Parameter(part, requires_grad=whole.requires_grad)


def _compute_locally(module: nn.Module, style: str, peers: DeviceMesh) -> None:
    if isinstance(module, nn.Linear):
        known: Any = type(module)
        module.__class__ = _local(known, peers.size() if style == "rowwise" else 1)
    if style == "rowwise" and isinstance(module, nn.Dropout):
        module.columns = Columns(peers.get_local_rank(), peers.size())  # type: ignore[assignment]


def _join(module: nn.Module, style: str, peers: DeviceMesh) -> None:
    if style == "colwise":
        module.register_forward_pre_hook(lambda _, inputs: (_entering(inputs[0], peers), *inputs[1:]))
    if style == "rowwise":
        module.register_forward_hook(lambda _, __, output: _leaving(output, peers))


@cache
def _local(known: Any, shares: int) -> Any:
    """A linear layer's class that computes with this rank's part; a bias that is whole is given in ``shares`` parts."""
    return type(known.__name__, (_Local, known), {"__module__": __name__, "shares": shares})


class _Local(nn.Module):
    shares: int

    @property
    def weight(self) -> Tensor:
        """This peer's part, while it is gathered from the ranks that share it; else the weight as it is kept."""
        weight = self._parameters["weight"]
        assert weight is not None
        return _here(weight)

    @property
    def bias(self) -> Tensor | None:
        """The same."""
        bias = self._parameters["bias"]
        is_whole = bias is None or isinstance(bias, DTensor)
        return bias if bias is None else _here(bias) if is_whole or self.shares == 1 else bias / self.shares


def _here(weight: Tensor) -> Tensor:
    is_gathered = isinstance(weight, DTensor) and weight.device_mesh.mesh_dim_names == ("tensor",)
    return weight.to_local() if is_gathered else weight  # type: ignore[attr-defined]


def _around(model: nn.Module, head: Head, peers: DeviceMesh) -> set[str]:
    """What the peers' layers meet at both ends: each peer's loss is of its own rows, so the head's gradient is a part.

    Returns:
        Names of the weights that the head trains.
    """

    def leave(_: nn.Module, __: Any, output: Any) -> Any:
        output.last_hidden_state = _entering(output.last_hidden_state, peers)
        return output

    def enter(_: nn.Module, __: Any, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(lambda gradient: gradient / peers.size())

    backbone(model).register_forward_hook(leave)
    owned = set(map(id, head.parameters))
    table = causal_lm(model).get_input_embeddings()
    if any(id(p) in owned for p in table.parameters()):
        table.register_forward_hook(enter)
    return {name for name, p in model.named_parameters() if id(p) in owned}


def _entering(whole: Tensor, peers: DeviceMesh) -> Tensor:
    """The same tensor; its gradient is the sum of the peers'."""
    if not (torch.is_grad_enabled() and whole.requires_grad):
        return whole
    return DTensor.from_local(whole, peers, [Replicate()], run_check=False).to_local(grad_placements=[Partial()])


def _leaving(part: Tensor, peers: DeviceMesh) -> Tensor:
    """The sum of the peers' tensors; its gradient is that of each."""
    summed = DTensor.from_local(part, peers, [Partial()], run_check=False).redistribute(placements=[Replicate()])
    return summed.to_local()
