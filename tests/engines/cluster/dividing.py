"""Gradients of students whose products are divided: on one process, and on ranks of which each has its own batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from tests.conformance.tiny import every_term, tiny_batch
from tests.engines.cluster.steps import Case, options, student
from understudy.engines.cluster import ClusterPolicy, join
from understudy.engines.local import LocalPolicy
from understudy.plans import LossPlan
from understudy.tokens import Batch

KINDS = ("qwen3", "qwen2", "llama", "mistral", "gemma2")
STUDENTS = [Case("opd", lora=False, tied=kind != "llama", kind=kind) for kind in KINDS]


def gradients(case: Case, size: int) -> dict[str, Tensor]:
    """In float64, of the batches of so many ranks together."""
    policy = LocalPolicy(_wide(case), **options(case))  # type: ignore[arg-type]
    parts = [policy.gradients(*_work(rank)) for rank in range(size)]
    return {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in parts[0]}


def rank_gradients(folder: str, tensor_parallel: int) -> None:
    """Every student's gradient, in a file that the first rank writes."""
    group = join("cpu", tensor_parallel=tensor_parallel)
    for case in STUDENTS:
        found = ClusterPolicy(_wide(case), group=group, **options(case)).gradients(*_work(group.rank))
        if group.rank == 0:
            save_file({name: value.contiguous() for name, value in found.items()}, Path(folder) / case.name)


def _wide(case: Case) -> Any:
    loaded = student(case)
    loaded.model.double()
    return loaded


def _work(rank: int) -> tuple[Batch, LossPlan]:
    batch = tiny_batch(seed=rank, count=5 - rank)
    return batch, LossPlan(every_term(batch, seed=rank))
