"""A small run on a small machine, for the cost model's tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from understudy.scaling.architecture import Architecture
from understudy.scaling.costs import Model
from understudy.scaling.hardware import Hardware, Pace
from understudy.scaling.workload import Workload

NARROW = Architecture("narrow", 2, 32, 64, 64, 4, 32, 16, 100, True, "here")
WIDE = Architecture("wide", 4, 64, 128, 128, 8, 64, 32, 100, False, "here")
WORK = Workload(prompts=8, generations=4, prompt_tokens=16, completion_tokens=32)
CPU = Hardware(
    name="small",
    bfloat16_flops=4e11,
    float32_flops=1e11,
    memory_bytes=8e9,
    memory_rate=1e10,
    devices_per_machine=4,
    link_rate=5e9,
    network_rate=1e9,
    sampling=Pace(0.5, 0.5, 1e-4),
    scoring=Pace(0.8, 0.5, 2e-4),
    updating=Pace(0.6, 0.5, 5e-4),
    source="made up",
)


def model(**changes: Any) -> Model:
    """The small run with other counts."""
    return Model(NARROW, WIDE, replace(WORK, **changes), CPU)
