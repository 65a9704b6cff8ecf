"""Whether a run fits into memory, and what is chosen so that it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.build.test_memory_plan import MODELS, plan_of, recipe_of
from tests.conformance.tiny import tiny_model
from tests.tiny_files import Workplace, make_workplace
from understudy.build import assemble
from understudy.build.settling import bytes_on, resident, settle
from understudy.errors import RecipeError
from understudy.models.load import describe
from understudy.objectives.methods import objective_of
from understudy.preview import preview
from understudy.recipe.loading import recipe_from


def test_weights_that_are_at_home_elsewhere_are_not_on_the_device_yet() -> None:
    model = describe(tiny_model(), None)
    size = 4 * resident("student", model).size.num_parameters
    assert bytes_on(torch.device("cpu"), [model, model]) == 2 * size
    assert bytes_on(torch.device("cuda"), [model]) == 0


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
