"""How much of the student a rank holds."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path

import torch
from torch.distributed.tensor import DTensor

from understudy.build import assemble
from understudy.build.cluster import gathering_of
from understudy.recipe import load_recipe


def tell_copies(recipe: str, file: str) -> None:
    """Build the run on this rank and write, into ``FILE-RANK``, the bytes of all weights that are alive."""
    resolved = load_recipe(Path(recipe), [])
    with gathering_of(resolved.engine, "cpu") as gathering:
        assembly = assemble(resolved, gathering=gathering)
        gc.collect()
        size = sum(p.numel() * p.element_size() for p in assembly.policy.model.parameters())
        told = {"bytes": _alive(), "student": size}
        Path(f"{file}-{os.environ['RANK']}").write_text(json.dumps(told))


def _alive() -> int:
    """Bytes of the memory behind every parameter, each piece once."""
    pieces = {}
    for one in gc.get_objects():
        if isinstance(one, torch.nn.Parameter):
            local = one.to_local() if isinstance(one, DTensor) else one
            storage = local.untyped_storage()
            pieces[storage.data_ptr()] = storage.nbytes()
    return sum(pieces.values())
