from __future__ import annotations

from typing import Any

from tests.build.test_memory_plan import MODELS, SMALL, recipe_of
from understudy.build.cut import Cut, cut_of
from understudy.build.memory_plan import memory_plan
from understudy.objectives.methods import objective_of

CLUSTER = {"engine": {"kind": "cluster"}}
# 1,000 weights, of which a table of 32 tokens by 8 stands outside the two layers.
OUTER, LAYER = 256, (1000 - 256) // 2


def parts(cut: Cut, **changes: Any) -> dict[str, int]:
    recipe = recipe_of(**{**CLUSTER, **changes})
    objective = objective_of(recipe.objective)
    return memory_plan(recipe, MODELS, objective, prompt_tokens=5, checkpointing=False, cut=cut).by_name()


def test_a_rank_holds_its_shards_and_a_whole_copy() -> None:
    alone, cut = parts(Cut()), parts(Cut(ranks=4, is_cluster=True))
    for name in ("student weights", "student gradients", "optimizer"):
        assert cut[name] == alone[name] // 4
    assert cut["student's whole copy"] == 4 * 1000
    assert cut["student before it is cut"] == 4 * 1000 - 4 * 250 - 8 * 250
    assert cut["gathered weights"] == 3 * 4 * LAYER + 4 * OUTER
    assert cut["teacher weights"] == alone["teacher weights"]  # whole on every rank
    # Three of six rollouts are the most that one of two prompts' ranks makes.
    assert cut["sampler cache"] == alone["sampler cache"] // 2


def test_peers_hold_part_of_each_layer_and_of_what_is_inside_it() -> None:
    cut = parts(Cut(ranks=4, peers=2, is_cluster=True))
    assert cut["student weights"] == 4 * ((1000 - OUTER) // 4 + OUTER // 2)
    assert cut["gathered weights"] == 3 * 4 * LAYER // 2 + 4 * OUTER
    inside = 6 * 8 + 4 * (16 + 8 + 4) // 2
    assert cut["activations"] == 4 * 90 * (2 * inside + 3 * 8 + 3 * 8 + 3 * 8)


def test_bfloat16_layers_are_gathered_narrow_and_not_copied() -> None:
    cut = parts(Cut(ranks=2, is_cluster=True), student={"model": "s", "dtype": "bfloat16"})
    assert cut["gathered weights"] == 3 * 2 * LAYER + 4 * OUTER
    assert "bfloat16 copies" not in cut


def test_only_adapters_have_averages_and_gradients() -> None:
    cut = parts(Cut(ranks=2, is_cluster=True), student={"model": "s", "lora": {"rank": 1}})
    adapters = SMALL.lora_parameters(1)
    assert cut["student weights"] == 4 * (500 + adapters // 2)
    assert cut["optimizer"] == 8 * adapters // 2
    assert cut["student gradients"] == 4 * adapters // 2


def test_ranks_are_counted_by_torchrun_or_by_hand() -> None:
    recipe = recipe_of(engine={"kind": "cluster", "tensor_parallel": 2})
    assert cut_of(recipe, {}) == Cut(1, 2, 1, is_cluster=True)
    assert cut_of(recipe, {"WORLD_SIZE": "8"}) == Cut(8, 2, 8, is_cluster=True)
    assert cut_of(recipe, {"WORLD_SIZE": "8", "RANK": "5", "LOCAL_WORLD_SIZE": "4"}) == Cut(8, 2, 4, is_cluster=True)
    assert cut_of(recipe_of(), {"WORLD_SIZE": "8"}) == Cut()
