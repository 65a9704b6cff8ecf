"""Products divided over ranks, which are real processes over gloo: everything is as in one process."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, Qwen3MoeConfig, Qwen3MoeForCausalLM

from tests.conformance.tiny import tiny_model
from tests.engines.cluster.compared import checkpoints_cross, one_process, steps_are_those_of_one_process
from tests.engines.cluster.dividing import STUDENTS, gradients, rank_gradients
from tests.engines.cluster.on_ranks import on_ranks
from tests.engines.cluster.steps import Case, dividable, rank_work
from understudy.engines.cluster import join
from understudy.engines.cluster.tensor import why_not_divided
from understudy.errors import UserMistakeError

FULL = Case("opd", lora=False, tied=True, kind="qwen3")
ADAPTED = Case("top-k", lora=True, tied=False, kind="llama")
LAYOUTS = ("2x2", "2", "1x2")
"""Ranks that shard, by ranks that divide, in the order in which they write."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process and each layout left of a student in full and one with adapters."""
    folder = tmp_path_factory.mktemp("tensor")
    for case in (FULL, ADAPTED):
        one_process(folder / case.name, case)
    on_ranks(rank_work, 4, str(folder), [FULL, ADAPTED], 2)
    on_ranks(rank_work, 2, str(folder), [FULL], 1)
    on_ranks(rank_work, 2, str(folder), [FULL], 2)
    return folder


@pytest.mark.parametrize(("case", "layout"), [(FULL, "2x2"), (ADAPTED, "2x2"), (FULL, "1x2")], ids=str)
def test_steps_are_those_of_one_process(folder: Path, case: Case, layout: str) -> None:
    steps_are_those_of_one_process(folder / case.name, case, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_checkpoints_go_from_any_layout_to_any_other(folder: Path, layout: str) -> None:
    before = list(LAYOUTS[: LAYOUTS.index(layout) + 1])
    checkpoints_cross(folder / FULL.name, FULL, layout, before)


def test_the_model_is_whole_for_transformers(folder: Path) -> None:
    place = folder / FULL.name
    model = AutoModelForCausalLM.from_pretrained(place / "from-2x2" / "model", dtype=torch.float32)
    weights = load_file(place / "weights-2x2")
    for name, p in model.named_parameters():
        assert torch.equal(p, weights[name]), name


@pytest.fixture(scope="module")
def divided_gradients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of every kind of student on two ranks, in float64."""
    folder = tmp_path_factory.mktemp("gradients")
    on_ranks(rank_gradients, 2, str(folder), 2)
    return folder


@pytest.mark.parametrize("case", STUDENTS, ids=lambda case: case.kind)
def test_every_gradient_is_that_of_one_process(divided_gradients: Path, case: Case) -> None:
    found, expected = load_file(divided_gradients / case.name), gradients(case, 2)
    assert set(found) == set(expected)
    near = 1e-5 if case.kind == "gemma2" else 1e-10  # gemma's norms and soft caps are float32 whatever its weights are
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, atol=near, rtol=near, msg=f"{name} {case.name}")


def test_what_has_no_plan_or_does_not_come_out_even_is_told() -> None:
    gpt2 = GPT2LMHeadModel(GPT2Config(vocab_size=19, n_positions=32, n_embd=16, n_layer=1, n_head=2))
    experts = Qwen3MoeForCausalLM(
        Qwen3MoeConfig(
            vocab_size=19,
            hidden_size=16,
            intermediate_size=16,
            moe_intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            num_experts=2,
            num_experts_per_tok=1,
        )
    )
    assert "no tensor-parallel plan" in (why_not_divided(gpt2, 2) or "")
    assert "moe_tp_experts" in (why_not_divided(experts, 2) or "")
    assert why_not_divided(tiny_model(), 2) == "its num_key_value_heads, 1, cannot be divided by 2"
    assert why_not_divided(dividable("qwen3", tied=True), 4) is None


def test_ranks_that_do_not_come_out_even_are_refused() -> None:
    with pytest.raises(UserMistakeError, match=r"1 ranks, engine.tensor_parallel: 2; expected a multiple of 2"):
        join("cpu", {}, tensor_parallel=2)
