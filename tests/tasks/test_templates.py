from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.errors import DataError, RecipeError
from understudy.tasks.templates import parse_template


def test_columns_take_their_places() -> None:
    template = parse_template("Q: {the question}\n{{{n}}} {x}", field="data.prompt")
    assert template.columns == ("the question", "n", "x")
    assert template.render({"the question": "{n}?", "n": 4, "x": 0.5, "unused": []}) == "Q: {n}?\n{4} 0.5"


@pytest.mark.parametrize(
    "text",
    ["{a.b}", "{a[0]}", "{a!r}", "{a:>10}", "{a:{b}}", "{}", "{ }", "{a", "a}", r"\boxed{}", "{a.__class__.__mro__}"],
)
def test_nothing_but_plain_columns_is_evaluated(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_template(text, field="data.prompt")
    assert "data.prompt is no template" in str(caught.value) and "{{" in str(caught.value)


@pytest.mark.parametrize("text", ["question", "{{question}}"])
def test_a_template_without_a_column_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match="names no column"):
        parse_template(text, field="data.completion")


def test_a_missing_column_names_those_there_are_and_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        parse_template("{qestion}", field="data.prompt").render({"question": "a", "answer": "b"})
    message = str(caught.value)
    assert "'qestion'" in message and "question, answer" in message and "Did you mean 'question'?" in message


@pytest.mark.parametrize("value", [None, True, ["a"], {"a": 1}])
def test_a_column_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="column 'a' is no text"):
        parse_template("{a}", field="data.prompt").render({"a": value})


@given(before=st.text(), value=st.text(), after=st.text())
def test_values_and_doubled_braces_stay_as_they_are(before: str, value: str, after: str) -> None:
    def doubled(text: str) -> str:
        return text.replace("{", "{{").replace("}", "}}")

    template = parse_template(f"{doubled(before)}{{column}}{doubled(after)}", field="data.prompt")
    assert template.render({"column": value}) == before + value + after


@given(text=st.text() | st.text("{}!:.[]ab ", max_size=12))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        assert parse_template(text, field="data.prompt").columns
    except RecipeError as error:
        assert "data.prompt" in str(error)
