"""The fields of data, mixtures and verifiers: what fits together and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from understudy.errors import RecipeError
from understudy.recipe import Data, Recipe, Suite, differences, recipe_from, to_yaml
from understudy.recipe.yaml_text import parse_yaml

MIXTURE = [
    {"dataset": "a.jsonl", "prompt": "{question}", "weight": 3, "verifier": "math", "filter": {"level": [1, 2]}},
    {"dataset": "org/b", "config": "main", "split": "test", "name": "bees", "missing": "drop", "limit": 5},
]


def recipe(**data: Any) -> Recipe:
    return recipe_from({"student": {"model": "m"}, "data": data, "objective": {"method": "sft"}, "steps": 1})


def refused(**data: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe(**data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_mixture_is_written_and_read_back() -> None:
    mixed = recipe(mixture=MIXTURE)
    assert [part.dataset for part in mixed.data.parts] == ["a.jsonl", "org/b"]
    text = to_yaml(mixed)
    again = recipe_from(parse_yaml(text, source="x"))
    assert again == mixed and differences(mixed, again) == []


def test_one_data_set_is_a_mixture_of_one() -> None:
    single = recipe(dataset="a.jsonl", filter={"level": 1})
    assert single.data.parts == (single.data,)
    assert recipe_from(parse_yaml(to_yaml(single), source="x")) == single


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "data has neither dataset nor mixture"),
        ({"shuffle": False}, "data has neither dataset nor mixture"),
        ({"mixture": []}, "data has neither dataset nor mixture"),
        ({"dataset": ""}, "data.dataset"),
        ({"dataset": "a", "mixture": MIXTURE}, "data.dataset stands beside data.mixture"),
        ({"prompt": "{x}", "mixture": MIXTURE}, "data.prompt stands beside data.mixture"),
        ({"verifier": "exact", "mixture": MIXTURE}, "data.verifier stands beside data.mixture"),
        ({"mixture": [{"dataset": "a", "weight": 0}]}, "data.mixture.0.weight"),
        ({"mixture": [{"dataset": "a", "weigth": 1}]}, "Did you mean data.mixture.0.weight"),
        ({"mixture": [{"weight": 1}]}, "data.mixture.0.dataset is missing"),
        ({"dataset": "a", "missing": "skip"}, "data.missing"),
        ({"dataset": "a", "filter": {"level": {"a": 1}}}, "data.filter.level"),
        ({"dataset": "a", "filter": ["level"]}, "data.filter"),
    ],
)
def test_what_does_not_fit_is_named(data: dict, said: str) -> None:
    assert said in refused(**data)


@pytest.mark.parametrize(
    ("verifier", "said"),
    [
        ("python", "kind python has a function"),
        ({"kind": "exact", "function": "a:b"}, "no other kind has"),
        ({"kind": "python", "function": "no colon"}, "package.module:function"),
        ({"kind": "python", "function": "a.b:c; import os"}, "package.module:function"),
        ("regex", "kind regex has extract"),
        ({"kind": "choice", "letters": "AAB"}, "letters that all differ"),
        ({"kind": "choice", "letters": "]["}, "letters that all differ"),
        ({"kind": "math", "deadline_seconds": 0}, "greater than 0"),
        ({"kind": "exact", "extract": "no group"}, "with a group"),
        ({"kind": "exact", "extract": "(("}, "a regular expression"),
        ("maths", "data.verifier"),
    ],
)
def test_a_verifier_that_cannot_judge_is_named(verifier: object, said: str) -> None:
    message = refused(dataset="a", verifier=verifier)
    assert said in message and "verifier" in message


def test_suites_filter_too() -> None:
    suite = Suite.model_validate({"name": "s", "dataset": "x", "filter": {"level": 5}, "missing": "drop"})
    assert suite.filter == {"level": 5}
    assert Data.model_validate({"dataset": "x"}).filter == {}
