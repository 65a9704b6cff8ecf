from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from understudy.build.memory_plan import MemoryPlan, Resident, memory_plan
from understudy.models.memory import ModelSize
from understudy.objectives.methods import objective_of
from understudy.recipe.loading import recipe_from

SMALL = ModelSize(num_parameters=1000, num_layers=2, width=8, inner=16, query=8, key=4, vocab_size=32)
LARGE = replace(SMALL, num_parameters=5000)
MODELS = [Resident("student", SMALL), Resident("teacher", LARGE, "bfloat16")]


def recipe_of(**changes: Any) -> Any:
    content = {
        "student": {"model": "s"},
        "teacher": {"model": "t"},
        "data": {"dataset": "d.jsonl"},
        "rollout": {"prompts_per_step": 2, "num_generations": 3, "max_completion_length": 10},
        "objective": {"method": "opd"},
        "steps": 1,
    }
    return recipe_from({**content, **changes})


def plan_of(recipe: Any, *, checkpointing: bool = False) -> MemoryPlan:
    objective = objective_of(recipe.objective)
    return memory_plan(recipe, MODELS, objective, prompt_tokens=5, checkpointing=checkpointing)


@pytest.mark.parametrize(("device", "has_gpu", "phase"), [("auto", True, 0), ("auto", False, 1), ("cuda", False, 0)])
def test_a_teacher_that_visits_a_gpu_is_there_only_while_it_scores(
    device: str, has_gpu: bool, phase: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    plan = plan_of(recipe_of(engine={"offload": "teacher", "device": device}))
    (part,) = [part for part in plan.parts if part.name == "teacher weights"]
    assert part.phase == ("scoring", "always")[phase]


def test_the_plan_by_hand() -> None:
    """Six rollouts of 15 tokens: 90 in one pass, 6 rows in the sampler."""
    parts = plan_of(recipe_of()).by_name()
    assert parts["student weights"] == 4 * 1000
    assert parts["student gradients"] == 4 * 1000
    assert parts["optimizer"] == 8 * 1000
    assert parts["teacher weights"] == 2 * 5000
    assert parts["sampler cache"] == 4 * 90 * 2 * 2 * 4
    inside = 6 * 8 + 4 * (16 + 8 + 4)
    assert parts["activations"] == 4 * 90 * (2 * inside + 3 * 8 + 3 * 8 + 3 * 16)
    assert parts["head's gradient"] == 2 * 4 * 32 * 8
    plan = plan_of(recipe_of())
    assert plan.highest == "update"
    assert plan.peak == (48 << 20) + 22_000 + sum(part.num_bytes for part in plan.parts if part.phase == "update")


@pytest.mark.parametrize(
    ("changes", "name", "share"),
    [
        ({"optimizer": {"states": "bfloat16"}}, "optimizer", 0.5),
        ({"optimizer": {"states": "int8"}}, "optimizer", (2 + 8 / 256) / 8),
        ({"engine": {"micro_batch_tokens": 45}}, "activations", 0.5),
        ({"engine": {"head_chunk_rows": 45}}, "logits", 0.5),
        ({"engine": {"sampler_batch_rows": 3}}, "sampler cache", 0.5),
    ],
)
def test_the_fields_that_a_refusal_names_do_lower_it(changes: dict[str, Any], name: str, share: float) -> None:
    assert plan_of(recipe_of(**changes)).by_name()[name] == pytest.approx(
        share * plan_of(recipe_of()).by_name()[name], rel=1e-3
    )


def test_adapters_learn_with_little() -> None:
    student = {"model": "s", "lora": {"rank": 1}, "ema_decay": 0.9}
    parts = plan_of(recipe_of(student=student)).by_name()
    adapters = SMALL.lora_parameters(1)
    assert parts["student weights"] == 4 * (1000 + adapters)
    assert parts["optimizer"] == 8 * adapters
    assert parts["student's average"] == 4 * adapters
    assert "head's gradient" not in parts
