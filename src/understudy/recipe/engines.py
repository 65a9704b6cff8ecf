"""Where the work is done: one process, or many ranks; told apart by ``kind``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from understudy.recipe.section import Section, Whole


class Engine(Section):
    """What every engine has; these fields change speed and memory, never results beyond rounding.

    Args:
        kind: which engine. device: ``auto`` takes a GPU where there is one.
        micro_batch_tokens: tokens in one forward pass. head_chunk_rows: rows of logits that exist at one time.
        sampler_batch_rows: rollouts that are sampled side by side. threads: of the CPU; null leaves torch's choice.
        activation_checkpointing: compute a layer again for its gradient instead of keeping what is inside it; ``auto``
            does so only when the memory plan, or an update that ran out of memory, says that it is needed.
        offload: ``teacher`` keeps frozen models in the CPU's memory between their uses.
    """

    kind: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    micro_batch_tokens: Whole = Field(default=16384, ge=1)
    head_chunk_rows: Whole = Field(default=512, ge=1)
    sampler_batch_rows: Whole = Field(default=256, ge=1)
    threads: Whole | None = Field(default=None, ge=1)
    activation_checkpointing: Literal["auto", "on", "off"] = "auto"
    offload: Literal["none", "teacher"] = "none"


class LocalEngine(Engine):
    """One process, on a CPU or one GPU."""

    kind: Literal["local"] = "local"


class ClusterEngine(Engine):
    """As many ranks as ``torchrun`` started, one without it; the student is sharded over them (FSDP2).

    Args:
        tensor_parallel: ranks that share the products of each layer, by transformers' plan of the architecture.
        offload_parameters: shards of the weights, gradients and averages live in the CPU's memory.
    """

    kind: Literal["cluster"] = "cluster"
    tensor_parallel: Whole = Field(default=1, ge=1)
    offload_parameters: bool = False


def _kind_of(value: object) -> object:
    return value.get("kind", "local") if isinstance(value, Mapping) else getattr(value, "kind", "local")


EngineField = Annotated[
    Annotated[LocalEngine, Tag("local")] | Annotated[ClusterEngine, Tag("cluster")], Discriminator(_kind_of)
]
"""An engine by its ``kind``; without one, ``local``."""
