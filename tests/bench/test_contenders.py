"""Who takes part, and the recipes of their runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from understudy.bench.contenders import (
    ABLATION_TROPD,
    FULL_METHODS,
    QUICK_METHODS,
    Contender,
    by_method,
    chosen,
    extrapolations,
    method_names,
)
from understudy.bench.order import Order, contenders_of, setting_named
from understudy.bench.plan import recipe_of, unified
from understudy.bench.settings import MATCHED, MERGE, SETTINGS, STRONG_TO_WEAK, Setting
from understudy.errors import RecipeError, UserMistakeError
from understudy.objectives.methods import objective_of
from understudy.recipe import recipe_from
from understudy.testbed import dataset_named
from understudy.testbed.roster import MODELS


def recipe(setting: Setting, contender: Contender, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"steps": 7, "seed": 3, "learning_rate": 1e-3, "folder": Path("out/runs/x-seed3")}
    return recipe_of(setting, contender, **{**given, "told": Path("out/told"), **changes})


def test_every_listed_method_exists() -> None:
    assert set(FULL_METHODS) <= set(method_names()) and len(set(FULL_METHODS)) == len(FULL_METHODS) >= 12
    assert set(QUICK_METHODS) < set(FULL_METHODS) and len(QUICK_METHODS) >= 8


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.name)
def test_every_setting_is_whole(setting: Setting) -> None:
    names = [contender.name for contender in setting.contenders]
    assert len(set(names)) == len(names) and set(setting.quick) <= set(names)
    assert {*setting.measured.values(), *setting.averaged} <= set(MODELS)
    for domain in setting.domains:
        assert dataset_named(domain.dataset).max_completion_length <= setting.max_completion_length
    assert setting.domains[0].trained and len(setting.domains) == 2
    assert setting.learning_rate in setting.rates
    for contender in setting.contenders:
        assert recipe(setting, contender)["steps"] == 7
        assert contender.reference == "initial" or contender.reference in MODELS


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(UserMistakeError, match=r"'trodp'.*Did you mean 'tropd'\?"):
        chosen(["opd", "trodp"], MATCHED.contenders)
    with pytest.raises(UserMistakeError, match=r"'mergd'.*Did you mean 'merge'\?"):
        setting_named("mergd")
    with pytest.raises(UserMistakeError, match="no ablation has that name"):
        contenders_of(Order(ablation="opd"), MATCHED)


def test_a_setting_s_own_contenders_come_before_methods_of_that_name() -> None:
    own = Contender("opd", {"method": "opd", "discount": 0.5})
    assert chosen(["gkd", "opd", "gkd"], [own]) == (*by_method(["gkd"]), own)


def test_quick_is_shorter_and_names_win() -> None:
    assert [c.name for c in contenders_of(Order(quick=True), MATCHED)] == list(QUICK_METHODS)
    assert [c.name for c in contenders_of(Order(), MATCHED)] == list(FULL_METHODS)
    assert [c.name for c in contenders_of(Order(quick=True, methods=("sdpo",)), MATCHED)] == ["sdpo"]
    assert contenders_of(Order(quick=True, ablation="tropd"), MATCHED) == ABLATION_TROPD


def test_the_ablation_s_rows_are_the_paper_s_variants() -> None:
    rows = {contender.name: contender.objective for contender in ABLATION_TROPD}
    assert {"opd", "mask-outlier", "clip-outlier", "fkl-outlier", "tropd-mask", "tropd-clip", "tropd-fkl"} <= set(rows)
    for kind in ("mask", "clip"):
        assert rows[f"{kind}-outlier"] == {**rows[f"tropd-{kind}"], "guidance": False}
        assert rows[f"tropd-{kind}"]["region"] == "static"
    terms = {c.name: set(objective_of(recipe_from(recipe(MATCHED, c)).objective).terms) for c in ABLATION_TROPD}
    assert terms["mask-outlier"] == {"trusted"} and terms["tropd-fkl"] == {"trusted", "outliers", "guidance"}


def test_everybody_gets_the_same_number_of_sequences_steps_and_rate() -> None:
    found = [recipe(MATCHED, contender) for contender in MATCHED.contenders]
    assert {(r["steps"], r["seed"], r["optimizer"]["learning_rate"]) for r in found} == {(7, 3, 1e-3)}
    assert {r["rollout"]["prompts_per_step"] * r["rollout"]["num_generations"] for r in found} == {128}
    by_name = {contender.name: r["rollout"] for contender, r in zip(MATCHED.contenders, found, strict=True)}
    assert by_name["sft"]["num_generations"] == 1 and by_name["opd"]["num_generations"] == 4
    assert {(r["student"]["model"], r["teacher"]["model"]) for r in found} == {
        ("testbed/two-tasks-student", "testbed/two-tasks-teacher")
    }


def test_one_k_for_all_that_have_one() -> None:
    assert unified({"method": "tropd"}, top_k=5) == {"top_k": 5, "method": "tropd"}
    assert unified({"method": "tropd", "top_k": 9}, top_k=5)["top_k"] == 9
    assert unified({"method": "opd"}, top_k=5) == {"method": "opd"}


def test_merging_trains_both_tasks_each_with_its_own_expert() -> None:
    found = recipe(MERGE, extrapolations([1.25])[0])
    assert {name: one["model"] for name, one in found["teacher"]["routes"].items()} == {
        "multiplication": "testbed/multiplication-expert",
        "sorting": "testbed/sorting-expert",
    }
    assert [part["name"] for part in found["data"]["mixture"]] == ["multiplication", "sorting"]
    assert found["objective"]["lambda"] == 1.25 and found["reference"]["model"] == "initial"
    told = recipe(MERGE, next(c for c in MERGE.contenders if c.tells))
    files = [(part["dataset"], part["verifier"]["kind"]) for part in told["data"]["mixture"]]
    assert files == [("out/told/multiplication.jsonl", "numeric"), ("out/told/sorting.jsonl", "exact")]


def test_strong_to_weak_measures_the_teacher_s_step_from_either_base() -> None:
    references = {c.name: recipe(STRONG_TO_WEAK, c)["reference"]["model"] for c in STRONG_TO_WEAK.contenders}
    assert references["gopd-1.25-from-start"] == "initial"
    assert references["gopd-1.25-from-teacher-base"] == "testbed/untidy-large"
    assert STRONG_TO_WEAK.measured["teacher-base"] == "testbed/untidy-large"


def test_a_wrong_field_of_a_contender_is_named() -> None:
    with pytest.raises(RecipeError, match="gopd-x"):
        recipe(MATCHED, Contender("gopd-x", {"method": "gopd", "lambda": -1.0}))
    assert replace(MATCHED, steps=3).steps == 3
