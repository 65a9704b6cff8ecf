"""Ranks in real processes, over gloo: 1, 2 and 4 of them take the steps of one process, and read each other's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.engines.cluster.on_ranks import on_ranks
from tests.engines.cluster.steps import CASES, STEPS, Case, options, rank_work, steps, student, told
from understudy.engines.local import LocalPolicy

SIZES = (4, 1, 2)
"""In the order in which they write, so that each reads what more and what fewer ranks wrote."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process and each number of ranks left of every case."""
    folder = tmp_path_factory.mktemp("cluster")
    for case in CASES:
        place = folder / case.name
        place.mkdir()
        policy = LocalPolicy(student(case), **options(case))  # type: ignore[arg-type]
        (place / "told-local.json").write_text(json.dumps(told(steps(policy, case, None))))
        policy.save(place / "from-local")
        (place / "next.json").write_text(json.dumps(told(steps(policy, case, None, start=STEPS, count=1))))
    for size in SIZES:
        on_ranks(rank_work, size, str(folder))
    return folder


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_steps_are_those_of_one_process(folder: Path, case: Case, size: int) -> None:
    place = folder / case.name
    same(
        json.loads((place / f"told-{size}.json").read_text())["steps"],
        json.loads((place / "told-local.json").read_text()),
    )
    policy = LocalPolicy(student(case), **options(case))  # type: ignore[arg-type]
    policy.load(place / "from-local")
    weights = load_file(place / f"weights-{size}")
    expected = {name: p.detach() for name, p in policy.model.named_parameters() if p.requires_grad}
    assert set(weights) == set(expected)
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, atol=1e-5, rtol=1e-5, msg=f"{name} {case.name}")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", [case for case in CASES if case.method == "opd"], ids=lambda case: case.name)
def test_checkpoints_go_from_any_number_of_ranks_to_any_other(folder: Path, case: Case, size: int) -> None:
    place = folder / case.name
    found = json.loads((place / f"told-{size}.json").read_text())
    expected = json.loads((place / "next.json").read_text())
    read = sorted(set(found) - {"steps"})
    assert read == sorted(["from-local", *(f"from-{one}" for one in SIZES[: SIZES.index(size) + 1])])
    for name in read:
        same(found[name], expected)
    policy = LocalPolicy(student(case), **options(case))  # type: ignore[arg-type]
    policy.load(place / f"from-{size}")
    same(told(steps(policy, case, None, start=STEPS, count=1)), expected)


def test_files_are_parts_without_pickle_and_a_model_for_transformers(folder: Path) -> None:
    place = folder / Case("opd", lora=False, tied=True).name / "from-4"
    names = sorted(str(file.relative_to(place)) for file in place.rglob("*") if file.is_file())
    assert {Path(name).suffix for name in names} == {".json", ".safetensors"}
    assert sum(name.startswith("trainer/") for name in names) == 4
    model = AutoModelForCausalLM.from_pretrained(place / "model", dtype=torch.float32)
    weights = load_file(place.parent / "weights-4")
    for name, p in model.named_parameters():
        assert torch.equal(p, weights[name]), name


def same(got: list[dict[str, object]], expected: list[dict[str, object]]) -> None:
    """Terms' sums and norms of each update, within 1e-5."""
    assert len(got) == len(expected) > 0
    for one, other in zip(got, expected, strict=True):
        assert one["sums"] == pytest.approx(other["sums"], rel=1e-5, abs=1e-5)
        assert one["norm"] == pytest.approx(other["norm"], rel=1e-5, abs=1e-5)
        assert one["tokens"] == other["tokens"]
