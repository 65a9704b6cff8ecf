"""The forms of the section ``teacher``, and what is refused in each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from understudy.errors import RecipeError
from understudy.recipe import MixedTeachers, Recipe, RoutedTeachers, Teacher, load_recipe, recipe_from, to_yaml

REST: dict[str, Any] = {
    "student": {"model": "small", "ema_decay": 0.99},
    "data": {"dataset": "train.jsonl"},
    "objective": {"method": "opd"},
    "steps": 5,
}
FORMS: dict[str, dict[str, Any]] = {
    "one": {"model": "big", "dtype": "bfloat16", "cache": True},
    "self": {"model": "self", "weights": "ema", "view": {"kind": "solution", "column": "proof"}},
    "several views": {"model": "self", "view": ["peers", {"kind": "feedback", "template": "{text} {prompt}"}]},
    "routed": {"routes": {"maths": {"model": "a"}, "code": {"model": "self", "weights": "initial", "cache": True}}},
    "by column": {"routes": {"a.b": {"model": "a", "view": "demonstration"}}, "by": "subject"},
    "mixture": {
        "mixture": [{"model": "a", "weight": 0.25}, {"model": "self", "weights": "initial", "weight": 0.75}],
        "view": {"kind": "system", "text": "Think."},
    },
}


def recipe_with(teacher: Any, **changes: Any) -> Recipe:
    return recipe_from({**REST, "teacher": teacher, **changes})


def refused(teacher: Any, **changes: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe_with(teacher, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_written_and_read_back_equal(form: str, tmp_path: Path) -> None:
    recipe = recipe_with(FORMS[form], name="x")
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe))
    assert load_recipe(file) == recipe


def test_the_forms_are_told_apart() -> None:
    kinds = [type(recipe_with(form).teacher) for form in FORMS.values()]
    assert kinds == [Teacher, Teacher, Teacher, RoutedTeachers, RoutedTeachers, MixedTeachers]
    assert recipe_from(REST).teachers == {}
    names = [list(recipe_with(FORMS[form]).teachers) for form in ("one", "routed", "mixture")]
    assert names == [["teacher"], ["teacher/maths", "teacher/code"], ["teacher/0", "teacher/1"]]


def test_the_name_of_a_kind_stands_for_its_view() -> None:
    (view,) = recipe_with({"model": "self", "view": "solution"}).teacher.view  # type: ignore[union-attr]
    assert (view.kind, view.resolved_column) == ("solution", "solution")
    assert {"{prompt}", "{text}"} <= {word.strip(".") for word in view.resolved_template.split()}


def test_overrides_reach_into_every_form(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe_with(FORMS["routed"])))
    changed = load_recipe(file, ["teacher.routes.maths.model=12", "teacher.routes.maths.cache=true"]).teacher
    assert isinstance(changed, RoutedTeachers)
    assert (changed.routes["maths"].model, changed.routes["maths"].cache) == ("12", True)
    file.write_text(to_yaml(recipe_with(FORMS["mixture"])))
    changed = load_recipe(file, ["teacher.mixture.0.model=7"]).teacher
    assert isinstance(changed, MixedTeachers) and changed.mixture[0].model == "7"


def test_the_start_is_kept_for_who_asks_for_it() -> None:
    keeps = {form: recipe_with(teacher).keeps_initial for form, teacher in FORMS.items()}
    assert [form for form, kept in keeps.items() if kept] == ["routed", "mixture"]
    assert recipe_with(FORMS["one"], reference="initial").keeps_initial


SELF = {"model": "self"}


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ({}, ["teacher.model is missing"]),
        ({"modle": "a"}, ["section teacher has no field 'modle'", "Did you mean teacher.model?"]),
        ({"model": "a", "routes": {}}, ["section teacher has no field 'model'", "one of routes, by"]),
        ({"routes": {}}, ["teacher.routes"]),
        ({"routes": {"a": {"modle": "x"}}}, ["section teacher.routes.a has no field 'modle'", "routes.a.model?"]),
        ({"routes": {"a": "x"}}, ["teacher.routes.a", "got 'x'", "a section with model"]),
        ({"routes": {"a": {"model": "x", "weight": 1}}}, ["section teacher.routes.a has no field 'weight'"]),
        ({"routes": {"a": {"model": "x"}}, "by": ""}, ["teacher.by"]),
        ({"mixture": []}, ["teacher.mixture"]),
        ({"mixture": [{"model": "x"}]}, ["teacher.mixture.0.weight is missing"]),
        ({"mixture": [{"model": "x", "weight": 0}]}, ["teacher.mixture.0.weight", "greater than 0 and at most 1"]),
        ({"mixture": [{"model": "x", "weight": 0.5}]}, ["weights of teacher.mixture sum to 0.5; they must sum to 1"]),
        ({"mixture": [{"model": "x", "weight": 1.0, "view": "peers"}]}, ["a part has no view of its own"]),
        ({"model": "a", "weights": "ema"}, ["weights 'ema' are the student's; they need model: self, not 'a'"]),
        ({**SELF, "cache": True}, ["cache remembers nothing of a teacher with live weights", "weights: initial"]),
        ({**SELF, "weights": "best"}, ["teacher.weights", "'live', 'initial' or 'ema'"]),
        ({**SELF, "view": "hints"}, ["teacher.view cannot be used; got 'hints'", "'solution'"]),
        ({**SELF, "view": {"column": "a"}}, ["teacher.view.kind is missing"]),
        ({**SELF, "view": 3}, ["teacher.view"]),
        ({**SELF, "view": {"kind": "peers", "column": "a"}}, ["a view of kind 'peers' reads no column"]),
        ({**SELF, "view": "system"}, ["a view of kind 'system' needs the field 'text'"]),
        ({**SELF, "view": {"kind": "solution", "text": "a"}}, ["'solution' has no field 'text'; only 'system' has"]),
        ({**SELF, "view": {"kind": "system", "text": "a", "template": "b"}}, ["kind 'system' has no template"]),
        ({**SELF, "view": {"kind": "solution", "template": "{text}"}}, ["must name {prompt} and {text}", "'{text}'"]),
        ({**SELF, "view": {"kind": "solution", "template": "{prompt} {text} {x}"}}, ["and no more"]),
        ({**SELF, "view": {"kind": "solution", "template": "{prompt} {text"}}, ["must name {prompt} and {text}"]),
    ],
)
def test_a_teacher_that_makes_no_sense_is_refused_in_a_sentence(teacher: Any, said: list[str]) -> None:
    message = refused(teacher)
    for part in said:
        assert part in message, message


def test_what_a_teacher_needs_of_the_other_sections() -> None:
    student = {"model": "small"}
    for teacher in ({**SELF, "weights": "ema"}, {"routes": {"a": {**SELF, "weights": "ema"}}}):
        assert "set student.ema_decay, such as 0.999" in refused(teacher, student=student)
    for teacher in ({**SELF, "view": "peers"}, {"routes": {"a": {**SELF, "view": ["solution", "peers"]}}}):
        said = refused(teacher, rollout={"num_generations": 1})
        assert "a view of kind 'peers' needs a group: set rollout.num_generations to at least 2" in said
