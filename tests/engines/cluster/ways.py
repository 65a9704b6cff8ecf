"""The ways in which a rank may compute: products in bfloat16, layers computed twice, shards in the CPU's memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file

from tests.engines.cluster.steps import Case, options, steps, student, told
from understudy.engines.cluster import ClusterPolicy, Group, join
from understudy.engines.local import LocalPolicy
from understudy.models.forward import backbone
from understudy.protocols import UpdateResult

WAYS: dict[str, dict[str, object]] = {
    "plain": {},
    "offloaded": {"offload_parameters": True},
    "checkpointed": {"activation_checkpointing": "on"},
    "bfloat16": {"precision": "bfloat16"},
    "all": {"offload_parameters": True, "activation_checkpointing": "on", "precision": "bfloat16"},
}
CASE = Case("opd", lora=False, tied=True, kind="qwen3")


def taken(policy: LocalPolicy, group: Group | None) -> tuple[list[UpdateResult], int]:
    """Updates of the steps, and how often the first layer ran for them."""
    calls = []
    layers = backbone(policy.model).layers
    hook = layers[0].mlp.register_forward_pre_hook(lambda *_: calls.append(1))  # type: ignore[union-attr, index]
    made = steps(policy, CASE, group)
    hook.remove()
    return made, len(calls)


def rank_ways(folder: str, ways: Sequence[str], tensor_parallel: int) -> None:
    """Steps in each of these ways on this rank; the first writes what they told, and the weights."""
    group = join("cpu", tensor_parallel=tensor_parallel)
    for name in ways:
        policy = ClusterPolicy(student(CASE), group=group, **{**options(CASE), **WAYS[name]})
        updates, calls = taken(policy, group)
        weights = policy.full_weights()
        if group.rank == 0:
            kept = [policy._parameters.values(), *(states.values() for states in policy._optimizer.state.values())]
            found = {"told": told(updates), "calls": calls, "kept": sum(x.nbytes for xs in kept for x in xs if x.ndim)}
            (Path(folder) / f"{name}.json").write_text(json.dumps(found))
            save_file({key: value.contiguous() for key, value in weights.items()}, Path(folder) / name)
