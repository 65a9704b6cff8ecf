from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conformance.tiny import tiny_model
from tests.tiny_files import Workplace, make_workplace
from understudy.build import assemble
from understudy.build.memory_plan import MemoryPlan, Resident, memory_plan
from understudy.build.settling import bytes_on, resident, settle
from understudy.engines.local.free_memory import free_host_memory
from understudy.errors import RecipeError
from understudy.models.load import describe
from understudy.models.memory import ModelSize
from understudy.objectives.methods import objective_of
from understudy.preview import preview
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


def test_weights_that_are_at_home_elsewhere_are_not_on_the_device_yet() -> None:
    model = describe(tiny_model(), None)
    size = 4 * resident("student", model).size.num_parameters
    assert bytes_on(torch.device("cpu"), [model, model]) == 2 * size
    assert bytes_on(torch.device("cuda"), [model]) == 0


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


def settled(free: int | None, **changes: Any) -> Any:
    recipe = recipe_of(**changes)
    return settle(recipe, MODELS, objective_of(recipe.objective), prompt_tokens=5, free=free)


def test_checkpointing_comes_only_when_it_is_needed() -> None:
    plain, again = plan_of(recipe_of()).peak, plan_of(recipe_of(), checkpointing=True).peak
    assert again < plain
    roomy, narrow = settled(plain), settled(again)
    assert (roomy.plan.checkpointing, roomy.recipe.engine.activation_checkpointing) == (False, "auto")
    assert not roomy.notices
    assert (narrow.plan.checkpointing, narrow.recipe.engine.activation_checkpointing) == (True, "on")
    assert "activation_checkpointing is on" in narrow.notices[0]
    off = settled(int(plain / 1.2), engine={"activation_checkpointing": "off"})
    assert off.plan.peak == plain
    assert "tight" in off.notices[0]
    assert settled(None).plan.peak == plain


def test_what_cannot_fit_is_refused_with_the_remedy() -> None:
    with pytest.raises(RecipeError) as caught:
        settled(10_000)
    for words in ("device has 0.0 MiB free", "teacher.dtype: bfloat16", "engine.micro_batch_tokens"):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_loaded_already_is_not_wanted_again() -> None:
    recipe = recipe_of()
    plan = plan_of(recipe)
    objective = objective_of(recipe.objective)
    found = settle(recipe, MODELS, objective, prompt_tokens=5, free=plan.peak - 14_000, loaded=14_000)
    assert found.plan == plan
    assert not found.notices


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return make_workplace(tmp_path)


def test_a_run_that_cannot_fit_ends_before_its_first_step(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_from(place.recipe())
    assert not any("emory" in notice for notice in assemble(recipe).notices)
    monkeypatch.setattr("understudy.build.settling.free_memory", lambda _: 1000)
    with pytest.raises(RecipeError, match="the device has"):
        assemble(recipe)


def test_the_dry_run_tells_what_does_not_fit(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = preview(recipe_from(place.recipe()))
    assert shown.memory_peak_bytes is not None
    assert 0 < shown.memory_peak_bytes < sum(shown.memory_bytes.values())
    assert shown.notices == []
    monkeypatch.setattr("understudy.preview.free_memory", lambda _: 1000)
    assert "the device has" in preview(recipe_from(place.recipe())).notices[0]


def kernel_files(folder: Path, files: dict[str, str]) -> tuple[Path, Path]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "proc", folder / "cgroup"


MEMINFO = "MemTotal: 4000 kB\nMemAvailable:    3000 kB\n"


def test_free_memory_without_groups(tmp_path: Path) -> None:
    assert free_host_memory(*kernel_files(tmp_path, {"proc/meminfo": MEMINFO})) == 3000 * 1024
    assert free_host_memory(tmp_path / "none", tmp_path) is None


def test_the_tightest_group_counts(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "0::/a/b\n",
        "cgroup/a/b/memory.max": "max\n",
        "cgroup/a/b/memory.current": "500000\n",
        "cgroup/a/memory.max": "1000000\n",
        "cgroup/a/memory.current": "700000\n",
        "cgroup/a/memory.stat": "anon 1\ninactive_file 50000\n",
    }
    assert free_host_memory(*kernel_files(tmp_path, files)) == 350_000


def test_groups_of_version_one(tmp_path: Path) -> None:
    files = {
        "proc/meminfo": MEMINFO,
        "proc/self/cgroup": "4:cpu,memory:/job\n0::/\n",
        "cgroup/memory/job/memory.limit_in_bytes": "1000000\n",
        "cgroup/memory/job/memory.usage_in_bytes": "900000\n",
        "cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cgroup/memory/memory.usage_in_bytes": "0\n",
    }
    assert free_host_memory(*kernel_files(tmp_path, files)) == 100_000
