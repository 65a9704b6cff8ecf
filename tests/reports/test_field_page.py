"""The fields of a recipe, as a command and a page tell them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from understudy.errors import RecipeError
from understudy.recipe.sections import sections
from understudy.reports.field_page import fields_page, section_text, table_rows

PAGE = Path(__file__).parents[2] / "docs" / "fields.md"


def test_the_page_is_what_the_recipe_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == fields_page(), "run `make docs`"


def test_every_field_has_a_meaning() -> None:
    silent = [f"{one.path}.{field.name}" for one in sections() for field in one.fields if not field.meaning]
    assert not silent


def test_a_section_tells_default_type_and_meaning() -> None:
    told = section_text("rollout")
    assert told.startswith("## rollout\n")
    assert "* `prompts_per_step` = `16` (whole number, at least 1): problems a step." in told
    assert "(section `rollout.server` or null)" in told


def test_a_field_is_told_alone_and_lists_need_no_number() -> None:
    assert section_text("student.model").startswith("* `model` (text): a folder, a hub name")
    assert section_text("evaluation.suites.0.num_samples") == section_text("evaluation.suites.num_samples")


def test_all_forms_of_a_section_are_told() -> None:
    forms = re.findall(r"^## teacher: .*$", section_text("teacher"), flags=re.MULTILINE)
    assert len(forms) == len([one for one in sections() if one.path == "teacher"]) == 5


def test_no_two_headings_are_alike() -> None:
    headings = re.findall(r"^## .*$", fields_page(), flags=re.MULTILINE)
    assert len(headings) == len(set(headings))
    assert {"## teacher: {server: ...}", "## engine: {kind: tinker}", "## rollout"} <= set(headings)


def test_the_table_has_a_row_a_section() -> None:
    paths = [row[0] for row in table_rows()]
    assert len(paths) == len(set(paths)) and {"(the recipe)", "student.lora", "objective"} <= set(paths)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("rollot", "rollout"),
        ("rollout.temprature", "rollout.temperature"),
        ("learning_rate", "optimizer.learning_rate"),
        ("zzz", "lists the sections"),
    ],
)
def test_what_is_not_there_names_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(RecipeError, match=right):
        section_text(wrong)
