"""Programs that sample the student in the process that trains it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from understudy.recipe.section import Number, Section, Whole


class VllmInProcess(Section):
    """vLLM in the process that trains, on the same GPU; it has to be installed there.

    Args:
        kind: the only one there is.
        gpu_memory_utilization: share of the device that vLLM takes for its copy of the student and its cache; the rest
            is left for training. max_model_len: longest context; null takes the student's.
        enforce_eager: no CUDA graphs, which saves memory and the time to record them.
    """

    kind: Literal["vllm"] = "vllm"
    gpu_memory_utilization: Number = Field(default=0.4, gt=0, lt=1)
    max_model_len: Whole | None = Field(default=None, ge=2)
    enforce_eager: bool = False


def _named(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


InProcessField = Annotated[VllmInProcess, BeforeValidator(_named)]
"""A sampler in this process, for which its name alone may stand."""
