"""Two ranks in real processes compute in each way as one process does, whether they shard or divide products."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from torch import equal

from tests.engines.cluster.compared import same
from tests.engines.cluster.on_ranks import on_ranks
from tests.engines.cluster.steps import options, student, told
from tests.engines.cluster.ways import CASE, WAYS, rank_ways, taken
from understudy.build.cut import Cut
from understudy.engines.local import LocalPolicy
from understudy.models.memory import ModelSize

LAYOUTS: dict[str, tuple[int, list[str]]] = {
    "sharded": (1, list(WAYS)),
    "divided": (2, ["plain", "checkpointed", "all"]),
}
CELLS = [(layout, way) for layout, (_, ways) in LAYOUTS.items() for way in ways]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks left of every way."""
    folder = tmp_path_factory.mktemp("ways")
    for name, (tensor_parallel, ways) in LAYOUTS.items():
        (folder / name).mkdir()
        on_ranks(rank_ways, 2, str(folder / name), ways, tensor_parallel)
    return folder


@pytest.mark.parametrize(("layout", "way"), [cell for cell in CELLS if "bfloat16" not in str(WAYS[cell[1]])])
def test_float32_ways_change_no_number(folder: Path, layout: str, way: str) -> None:
    same(_told(folder, layout, way), _alone("plain")[0])
    weights, plain = (load_file(folder / layout / name) for name in (way, "plain"))
    assert all(equal(weights[name], plain[name]) for name in plain)


@pytest.mark.parametrize(("layout", "way"), [cell for cell in CELLS if "bfloat16" in str(WAYS[cell[1]])])
def test_bfloat16_is_as_near_to_that_of_one_process_as_its_rounding(folder: Path, layout: str, way: str) -> None:
    """Three steps at a rate of 0.01: norms of one process in bfloat16 and in float32 differ by up to 3 %."""
    found, half, full = _told(folder, layout, way), _alone("bfloat16")[0], _alone("plain")[0]
    assert [one["norm"] for one in found] == pytest.approx([one["norm"] for one in half], rel=2e-2)
    assert [one["norm"] for one in found] != pytest.approx([one["norm"] for one in full], rel=1e-4)
    policy_sums = [[one["sums"]["policy"] for one in told] for told in (found, half)]
    assert policy_sums[0] == pytest.approx(policy_sums[1], abs=5e-2)


def test_checkpointed_layers_run_again_for_their_gradients(folder: Path) -> None:
    plain, again = (_read(folder, "sharded", way)["calls"] for way in ("plain", "checkpointed"))
    alone, alone_again = _alone("plain")[1], _alone("checkpointed")[1]
    assert again / plain == alone_again / alone > 1


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_a_rank_keeps_what_the_memory_plan_says(folder: Path, layout: str) -> None:
    """Weights and both averages; what is left of the difference are norms, which the plan counts among layers."""
    model = student(CASE).model
    size = ModelSize.of(model.config, sum(p.numel() for p in model.parameters()))
    share = Cut(ranks=2, peers=LAYOUTS[layout][0], is_cluster=True).share(size)
    assert _read(folder, layout, "plain")["kept"] == pytest.approx(4 * share + 8 * share, rel=0.02)


def _alone(way: str) -> tuple[list[dict[str, Any]], int]:
    given = {name: value for name, value in WAYS[way].items() if name != "offload_parameters"}
    updates, calls = taken(LocalPolicy(student(CASE), **{**options(CASE), **given}), None)  # type: ignore[arg-type]
    return told(updates), calls


def _told(folder: Path, layout: str, way: str) -> list[dict[str, Any]]:
    return list(_read(folder, layout, way)["told"])


def _read(folder: Path, layout: str, way: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / layout / f"{way}.json").read_text())
    return found
