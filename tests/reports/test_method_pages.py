"""The reference pages: what is committed is what the methods say of themselves, and each example is a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.errors import RecipeError
from understudy.objectives.methods import METHODS, entries, objective_of
from understudy.recipe import recipe_from
from understudy.recipe.yaml_text import parse_yaml
from understudy.reports.method_pages import INDEX, page_of, pages, write_pages

REFERENCE = Path(__file__).parents[2] / "docs" / "methods" / "reference"
NAMES = [entry.name for entry in entries()]


def test_the_committed_pages_are_the_generated_ones():
    committed = {path.name: path.read_text() for path in REFERENCE.iterdir()}
    generated = pages()
    assert committed.keys() == generated.keys(), "run make docs, and remove pages of methods that are gone"
    assert not [name for name in generated if committed[name] != generated[name]], "run make docs"


@pytest.mark.parametrize("name", NAMES)
def test_the_example_on_a_page_is_a_recipe_at_the_methods_defaults(name: str):
    block = page_of(name).partition("```yaml\n")[2].partition("```")[0]
    rest = {"student": {"model": "s"}, "data": {"dataset": "d"}, "steps": 1}
    recipe = recipe_from({**rest, **parse_yaml(block, source=name)})
    assert recipe.objective == next(config() for config in METHODS if config().method == name)
    objective = objective_of(recipe.objective)
    asked = objective.needs.scorers()
    assert ("teacher" in asked or objective.writing.needs_teacher_text) == (recipe.teacher is not None)
    assert ("reference" in asked) == (recipe.reference is not None)


def test_a_page_holds_the_docstrings_words():
    page = page_of("gkd")
    assert "```text\nD = beta KL(T||m) + (1-beta) KL(S||m)" in page
    assert "Source: Agarwal et al., arXiv:2306.13649, eq. 1 and algorithm 1." in page
    assert "* `beta` = `0.5` (number, at least 0 and at most 1): 0 is forward KL(T||S)" in page
    assert "The teacher's whole distribution at each token" in page
    assert "written by the student (share 0.5) and the data (share 0.5)" in page


def test_what_a_source_says_otherwise_is_marked_as_ours():
    reduction = page_of("opd").partition("* `reduction`")[2].partition("* `")[0]
    assert "; ours)" in " ".join(reduction.split())
    assert "; ours)" not in page_of("gkd")


def test_no_page_leads_to_notes_that_its_reader_does_not_have():
    for name, page in pages().items():
        assert "METHODS" not in page and ";." not in page, name
    assert not [entry.name for entry in entries() if entry.source.endswith((";", ",", ":"))]


def test_no_line_outgrows_a_terminal():
    tables = {INDEX}
    long = {name: line for name, page in pages().items() for line in page.splitlines() if len(line) > 120}
    assert set(long) <= tables


def test_pages_are_written_and_other_files_stay(tmp_path: Path):
    (tmp_path / "mine.md").write_text("mine")
    written = write_pages(tmp_path)
    assert {path.name for path in written} == set(pages())
    assert {path.name for path in tmp_path.iterdir()} == {"mine.md", *pages()}
    assert (tmp_path / "opd.md").read_text() == pages()["opd.md"]


def test_an_unknown_method_is_answered_with_the_nearest():
    with pytest.raises(RecipeError, match=r"got 'seqkd'.*Did you mean seq_kd\?"):
        page_of("seqkd")


def test_the_identities_that_a_docstring_cites_are_links_in_the_written_page():
    written = " ".join(pages()["local_support.md"].split())
    assert "[identity 7](../identities.md#identity-7)" in written and "docs/methods/identities.md" not in written
    assert "identity 7 of docs/methods/identities.md" in " ".join(page_of("local_support").split())
