"""The page that helps to choose a method knows all of them, and quotes the results as they stand."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT
from understudy.objectives.methods import entries
from understudy.reports.method_pages import GUIDED

CHOOSING = (ROOT / "docs" / "methods" / "choosing.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
_FIGURE = re.compile(r"([-+]?\d*\.\d+) \[([-+]?\d*\.\d+), ([-+]?\d*\.\d+)\]")


def figures_of(text: str) -> set[tuple[str, ...]]:
    return set(_FIGURE.findall(" ".join(text.split())))


def test_every_method_can_be_found_there() -> None:
    linked = set(re.findall(r"\]\((?:reference/)?(\w+)\.md\)", CHOOSING))
    assert {entry.name for entry in entries()} <= linked
    assert not [name for name in GUIDED if f"(reference/{name}.md)" in CHOOSING], "it has a page that tells more"


def test_what_it_quotes_was_measured() -> None:
    quoted = figures_of(CHOOSING)
    assert len(quoted) > 40
    assert not quoted - figures_of(RESULTS)


@pytest.mark.parametrize("name", GUIDED)
def test_what_a_method_s_page_quotes_was_measured(name: str) -> None:
    page = (ROOT / "docs" / "methods" / f"{name}.md").read_text(encoding="utf-8")
    assert not figures_of(page) - figures_of(RESULTS)
    assert set(re.findall(r"results\.md#([\w-]+)\)", page)) <= anchors_of(RESULTS)


def test_a_figure_that_was_not_measured_is_found() -> None:
    assert not figures_of("with `opd` 85.6 [84.2,\n87.0]") - figures_of(RESULTS)
    assert figures_of("85.7 [84.2, 87.0]") - figures_of(RESULTS)


def test_it_leads_to_headings_that_are_there() -> None:
    assert set(re.findall(r"results\.md#([\w-]+)\)", CHOOSING)) <= anchors_of(RESULTS)
    assert set(re.findall(r"\]\(#([\w-]+)\)", CHOOSING)) <= anchors_of(CHOOSING)


def anchors_of(text: str) -> set[str]:
    """As the site and GitHub name the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
