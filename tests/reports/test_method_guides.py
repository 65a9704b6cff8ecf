"""The hand-written pages of docs/methods: their recipes plan, their figures exist, each leads to all fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from understudy.objectives.methods import entries, objective_of
from understudy.preview import preview
from understudy.recipe import recipe_from
from understudy.recipe.yaml_text import parse_yaml
from understudy.reports.method_pages import GUIDED

FOLDER = Path(__file__).parents[2] / "docs" / "methods"
PAGES = {path.stem: path.read_text() for path in FOLDER.glob("*.md")}
REST = {"student": {"model": "s"}, "data": {"dataset": "d"}, "steps": 10}


def recipe_on(page: str):
    block = re.search(r"```yaml\n(.*?)```", PAGES[page], flags=re.DOTALL)
    assert block, f"{page} has no recipe"
    return recipe_from({**REST, **parse_yaml(block.group(1), source=page)})


@pytest.mark.parametrize("name", GUIDED)
def test_the_recipe_on_a_page_plans_the_method_it_is_about(name: str) -> None:
    recipe = recipe_on(name)
    plan = preview(recipe)
    assert plan.method == name and sum(plan.planned_rows.values()) > 0
    objective = objective_of(recipe.objective)
    needed = objective.needs.scorers() | ({"teacher"} if objective.writing.needs_teacher_text else set())
    assert not {role for role in needed & {"teacher", "reference"} if getattr(recipe, role) is None}


@pytest.mark.parametrize("name", GUIDED)
def test_a_page_says_when_it_helps_when_it_hurts_and_what_to_watch(name: str) -> None:
    headings = re.findall(r"^## (.*)$", PAGES[name], flags=re.MULTILINE)
    assert headings[:3] == ["When it helps", "When it hurts", "What to watch"]
    assert {f"(reference/{name}.md)", "(choosing.md)"} <= set(re.findall(r"\([\w/]+\.md\)", PAGES[name]))
    assert re.search(r"```text\n.+?```", PAGES[name], flags=re.DOTALL)


@pytest.mark.parametrize("name", GUIDED)
def test_figures_of_terms_are_of_terms_that_the_method_has(name: str) -> None:
    terms = set(objective_of(recipe_on(name).objective).terms)
    named = set(re.findall(r"`(?:gate|loss|advantage)/(\w+)", PAGES[name]))
    assert named <= terms
    assert named


@pytest.mark.parametrize("page", sorted(PAGES))
def test_methods_in_code_marks_are_methods(page: str) -> None:
    known = {entry.name for entry in entries()}
    looks_like_one = set(re.findall(r"`([a-z]+_(?:opd|kd|fkl|topk|support|teach|aopd))`", PAGES[page]))
    linked = set(re.findall(r"\]\((?:reference/)?([a-z_]+)\.md\)", PAGES[page])) - set(PAGES)
    assert looks_like_one | linked <= known
