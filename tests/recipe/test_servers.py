"""Models behind servers, as a recipe names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.recipe.test_teachers import recipe_with, refused

from understudy.recipe import MixedTeachers, RoutedTeachers, ServedModel, ServedTeacher, load_recipe, to_yaml

URL = "http://localhost:8000"
FORMS: dict[str, dict[str, Any]] = {
    "one": {"server": URL + "/", "api_key_env": "TEACHER_KEY", "cache": True, "view": "demonstration"},
    "copies": {"server": [URL, "https://gpu.example:8443"], "model": "big", "kind": "vllm", "max_logprobs": 64},
    "routes": {"routes": {"maths": {"server": URL}, "code": {"model": "a"}}},
    "mixture": {"mixture": [{"server": URL, "weight": 0.5}, {"model": "a", "weight": 0.5}]},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_written_and_read_back_equal(form: str, tmp_path: Path) -> None:
    recipe = recipe_with(FORMS[form], name="x", reference={"server": URL, "deadline_seconds": 5.0})
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe))
    assert load_recipe(file) == recipe
    assert type(recipe.reference) is ServedModel


def test_the_forms_are_told_apart() -> None:
    kinds = [type(recipe_with(form).teacher) for form in FORMS.values()]
    assert kinds == [ServedTeacher, ServedTeacher, RoutedTeachers, MixedTeachers]
    mixed = recipe_with(FORMS["mixture"])
    assert (list(mixed.teachers), list(mixed.served_teachers)) == (["teacher/1"], ["teacher/0"])
    (one,) = recipe_with(FORMS["one"]).served_teachers.values()
    assert one.addresses == (URL,)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"server": "localhost:8000"}, "must begin with http"),
        ({"server": []}, "teacher.server"),
        ({"server": [URL, URL + "/"]}, "two addresses of server are the same"),
        ({"deadline_seconds": 0}, "teacher.deadline_seconds"),
        ({"api_key": "sesame"}, "Did you mean teacher.api_key_env"),
        ({"kind": "ollama"}, "teacher.kind"),
    ],
)
def test_what_cannot_be_an_address_is_refused(changes: dict[str, Any], said: str) -> None:
    assert said in refused({"server": URL, **changes})


@pytest.mark.parametrize("url", ["http://me:sesame@host:1", "http://host:1/?key=sesame"])
def test_secrets_in_an_address_are_refused_and_not_repeated(url: str) -> None:
    said = refused({"server": url})
    assert "api_key_env" in said and "sesame" not in said
