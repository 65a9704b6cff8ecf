"""Models behind servers, as a recipe names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.recipe.test_teachers import recipe_with, refused

from understudy.errors import RecipeError
from understudy.recipe import (
    MixedTeachers,
    Recipe,
    RoutedTeachers,
    ServedModel,
    ServedTeacher,
    differences,
    load_recipe,
    to_yaml,
)

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


# ------------------------------------------------------------------------------------------------ rollouts on servers


def rollout(**fields: object) -> Recipe:
    return recipe_with({"model": "a"}, rollout=fields)


def test_rollouts_on_servers_are_named_by_addresses_or_by_a_section() -> None:
    short = rollout(server="http://one:1/").rollout.server
    whole = rollout(server={"urls": ["http://one:1", "http://two:2"], "kind": "vllm"}).rollout.server
    assert short is not None and short.addresses == ("http://one:1",)
    assert whole is not None and whole.addresses == ("http://one:1", "http://two:2")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"server": "ftp://one"}, "must begin with http"),
        ({"server": ["http://one:1", "http://one:1/"]}, "are the same"),
        ({"weights": "disk"}, "rollout.server names none"),
        ({"server": "http://one:1", "weights": "adapter"}, "set student.lora"),
        ({"overlap": {"max_staleness": 1, "steps_ahead": 2}}, "more than max_staleness of 1"),
        ({"overlap": {"max_staleness": 1, "segment_tokens": 4}}, "leaves nothing"),
        ({"overlap": {"max_staleness": 2, "steps_ahead": 1, "segment_tokens": 4}, "max_turns": 2}, "must be 1"),
    ],
)
def test_what_cannot_be_sampled_so_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        rollout(**fields)


def test_adapters_and_whole_models_are_told_apart() -> None:
    servers = {"server": "http://one:1", "weights": "disk"}
    with pytest.raises(RecipeError, match="use 'adapter'"):
        recipe_with({"model": "a"}, rollout=servers, student={"model": "a", "lora": {}})


def test_another_address_is_the_same_run() -> None:
    one, other = rollout(server="http://one:1"), rollout(server="http://two:2")
    assert differences(one, other) == []
    assert differences(one, rollout()) != []
