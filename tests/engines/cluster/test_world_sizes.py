"""Ranks in real processes, over gloo: 1, 2 and 4 of them take the steps of one process, and read each other's files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.engines.cluster.compared import checkpoints_cross, one_process, steps_are_those_of_one_process
from tests.engines.cluster.on_ranks import on_ranks
from tests.engines.cluster.steps import CASES, Case, rank_work

SIZES = (4, 1, 2)
"""In the order in which they write, so that each reads what more and what fewer ranks wrote."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process and each number of ranks left of every case."""
    folder = tmp_path_factory.mktemp("cluster")
    for case in CASES:
        one_process(folder / case.name, case)
    for size in SIZES:
        on_ranks(rank_work, size, str(folder))
    return folder


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_steps_are_those_of_one_process(folder: Path, case: Case, size: int) -> None:
    steps_are_those_of_one_process(folder / case.name, case, str(size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", [case for case in CASES if case.method == "opd"], ids=lambda case: case.name)
def test_checkpoints_go_from_any_number_of_ranks_to_any_other(folder: Path, case: Case, size: int) -> None:
    before = [str(one) for one in SIZES[: SIZES.index(size) + 1]]
    checkpoints_cross(folder / case.name, case, str(size), before)


def test_files_are_parts_without_pickle_and_a_model_for_transformers(folder: Path) -> None:
    place = folder / Case("opd", lora=False, tied=True).name / "from-4"
    names = sorted(str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())
    assert {Path(name).suffix for name in names} == {".json", ".safetensors"}
    assert sum(name.startswith("trainer/") for name in names) == 4
    model = AutoModelForCausalLM.from_pretrained(place / "model", dtype=torch.float32)
    weights = load_file(place.parent / "weights-4")
    for name, p in model.named_parameters():
        assert torch.equal(p, weights[name]), name
