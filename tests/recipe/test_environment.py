"""The section ``environment``: its kinds, what belongs to each, and what no recipe may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import RecipeError
from understudy.recipe import EnvironmentConfig, Recipe, load_recipe, recipe_from, to_yaml
from understudy.recipe.yaml_text import parse_yaml

RECIPE = """
student: {model: a}
teacher: {model: b}
data: {dataset: testbed/remember-digit}
rollout: {max_turns: 2}
objective: {method: opd}
steps: 1
"""


@pytest.fixture
def load(tmp_path: Path):
    file = tmp_path / "turns.yaml"
    file.write_text(RECIPE)

    def loaded(*overrides: str) -> Recipe:
        return load_recipe(file, overrides)

    return loaded


def test_a_single_turn_is_what_a_recipe_means_that_names_none(load):
    assert load().environment == EnvironmentConfig() == EnvironmentConfig(kind="single_turn")


def test_a_kind_may_stand_for_its_section(load):
    assert load("environment=remember_digit").environment == EnvironmentConfig(kind="remember_digit")
    growing = load("environment={kind: remember_digit, style: growing}")
    assert growing.environment.style == "growing"
    assert recipe_from(parse_yaml(to_yaml(growing), source="")) == growing


def test_agents_have_their_fields(load):
    search = load(
        "rollout.max_turns=4",
        "environment={kind: search_qa, history: 4, max_observation_tokens: 4096, retriever_url: http://localhost:8000}",
    ).environment
    assert (search.history, search.max_observation_tokens, search.is_agent) == (4, 4096, True)
    assert load("environment={kind: alfworld, history: 2}").environment.num_turns == 50


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["environment=alfword"], "environment cannot be used; got 'alfword'.*'alfworld'"),
        (["environment={kind: remember_digit, style: frech}"], "environment.style cannot be used.*fresh"),
        (["environment={kind: alfworld, style: fresh}"], "an environment of kind alfworld has no style"),
        (["environment={kind: own, factory: my_world:make}"], "kind own has factory, package.module:name, and turns"),
        (["environment={kind: own, factory: my_world, turns: 4}"], "kind own has factory"),
        (["environment={kind: household, seconds: 4}"], "kind household has no seconds"),
        (["environment={kind: webshop, retriever_url: x}"], "kind webshop has no retriever_url"),
        (["environment={kind: single_turn, history: 2}"], "kind single_turn has no history"),
        (["environment={kind: alfworld, history: -1}"], "environment.history.*at least 0"),
        (["environment={kinds: alfworld}"], "Did you mean environment.kind"),
        (["environment=remember_digit", "rollout.max_turns=1"], "takes up to 2 turns, but rollout.max_turns is 1"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(load, overrides, said):
    with pytest.raises(RecipeError, match=said) as refused:
        load(*overrides)
    assert "\n" not in str(refused.value)
