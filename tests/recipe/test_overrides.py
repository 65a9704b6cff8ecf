from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import RecipeError
from understudy.recipe import Recipe
from understudy.recipe.overrides import apply_overrides

RAW = {"steps": 3, "data": {"dataset": "d"}, "evaluation": {"suites": ["a", {"name": "b"}]}}


def overridden(*overrides: str) -> dict:
    return apply_overrides(RAW, overrides, Recipe)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("steps=12", ["steps"], 12),
        ("optimizer.learning_rate=1e-4", ["optimizer", "learning_rate"], 1e-4),
        ("student.lora.rank=8", ["student", "lora", "rank"], 8),
        ("evaluation.suites.1.name=c", ["evaluation", "suites", 1, "name"], "c"),
        ("evaluation.suites.0=c", ["evaluation", "suites", 0], "c"),
        ("teacher.routes.007.model=t", ["teacher", "routes", "007", "model"], "t"),
        ("optimizer.betas=[0.8, 0.9]", ["optimizer", "betas"], [0.8, 0.9]),
        ("data.answer=null", ["data", "answer"], None),
        ("data.answer=", ["data", "answer"], None),
        ("data.dataset=a=b", ["data", "dataset"], "a=b"),
        ("data.prompt={question}: {x}", ["data", "prompt"], "{question}: {x}"),
        ("data.prompt='null'", ["data", "prompt"], "null"),
        ("data.answer=#no", ["data", "answer"], "#no"),
        ("name=2024", ["name"], "2024"),
        ("name=1e3", ["name"], "1e3"),
    ],
)
def test_a_value_reaches_its_place(override: str, path: list, value: object) -> None:
    found: object = overridden(override)
    for part in path:
        found = found[part]  # type: ignore[index]
    assert found == value and type(found) is type(value)


def test_later_overrides_win_and_the_recipe_stays_as_it_was() -> None:
    before = json.dumps(RAW)
    assert overridden("steps=4", "steps=5", "data.dataset=e") == {**RAW, "steps": 5, "data": {"dataset": "e"}}
    assert json.dumps(RAW) == before


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("steps", "key.sub=value"),
        ("=3", "key.sub=value"),
        ("a..b=3", "key.sub=value"),
        ("steps=[1", "not valid YAML"),
        ("steps.more=1", "steps is 3"),
        ("evaluation.suites.9=x", "a list of 2"),
        ("evaluation.suites.first=x", "a list of 2"),
    ],
)
def test_a_useless_override_is_quoted(override: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        overridden(override)
    assert said in str(caught.value) and override in str(caught.value)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=10),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200)
@given(value=JSON_VALUES)
def test_json_is_read_as_itself(value: object) -> None:
    assert overridden(f"student.chat_template_kwargs.x={json.dumps(value)}")["student"] == {
        "chat_template_kwargs": {"x": value}
    }


@settings(max_examples=120)
@given(override=st.text(max_size=40) | st.from_regex(r"[a-z.]{1,12}=.{0,20}", fullmatch=True))
def test_any_text_is_applied_or_refused(override: str) -> None:
    try:
        result = overridden(override)
    except RecipeError as error:
        assert str(error)
    else:
        assert override.partition("=")[0].strip().split(".")[0] in result
