from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.errors import RecipeError
from understudy.recipe.yaml_text import format_yaml, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("010", 10),
        ("1:30", "1:30"),
        ("no", "no"),
        ("True", True),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("<<: x", {"<<": "x"}),
        ("~", None),
        ("a: &t 1\nb: *t", {"a": 1, "b": 1}),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert parse_yaml(text, source="test") == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [", "line 2"),
        ("a: 1\na: 2", "line 2: not valid YAML: key 'a' stands twice"),
        ("x:\n  b: 1\n  b: 2", "line 3: not valid YAML: key 'b' stands twice"),
        ("1: x", "key 1 is not a string"),
        ("? [a]\n: x", "is not a string"),
        ("a: &x [1]\nb: *x", "line 2: not valid YAML: an alias"),
        ("a: &x [*x]", "alias"),
        ("!!python/object/apply:os.system [ls]", "python"),
        ("!!binary aGk=", "binary"),
        ("!!set {a}", "set"),
        ("!!float x", "float"),
        ("a: 1\n---\nb: 2", "test"),
        ("[" * 5000, "nested too deeply"),
        ("1" * 5000, "not valid YAML"),
        ("a\x00b", "not valid YAML"),
    ],
)
def test_what_is_no_recipe_yaml_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_yaml(text, source="test")
    assert said in str(caught.value) and "\n" not in str(caught.value)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=120)
@given(data=PLAIN | st.sampled_from(["1e3", "1.0", ".5", "no", "010", "~", "true", "", "=", "<<", "1:30", "- a", "#"]))
def test_what_is_written_is_read_back(data: object) -> None:
    assert parse_yaml(format_yaml(data), source="test") == data
