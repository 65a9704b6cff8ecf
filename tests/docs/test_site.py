"""The site's source: every page is on the map, every link leads somewhere, and Markdown is as its reader expects it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from docs_site.check import faults_of
from docs_site.docstrings import readable
from docs_site.gather import gather, navigation

from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    gather(out)
    return out


def test_every_page_is_in_the_navigation(source: Path) -> None:
    listed = re.findall(r"[\w/.-]+\.md", (source / "mkdocs.yml").read_text())
    pages = {file.relative_to(source / "pages").as_posix() for file in (source / "pages").rglob("*.md")}
    assert pages == set(listed)
    assert {"start.md", "methods/choosing.md", "files/recipes/gsm8k.md", "api/the-recipe.md"} <= set(listed)


def test_a_page_that_no_heading_knows_is_found_all_the_same() -> None:
    assert {"More": [{"forgotten": "forgotten.md"}]} in navigation({"docs/forgotten.md": "forgotten.md"})


def test_pages_are_called_as_the_map_calls_them_and_notes_by_their_heading(source: Path) -> None:
    sections = {
        name: pages
        for each in yaml.safe_load((source / "mkdocs.yml").read_text())["nav"]
        for name, pages in each.items()
    }
    assert {"All methods": "methods/reference/README.md"} in sections["Methods"]
    assert {"aopd": "methods/aopd.md"} in sections["Ten methods to begin with"]
    assert {"aopd": "methods/reference/aopd.md"} in sections["Every method"]
    assert sections["Design notes"][1] == {"002: Every random number has a key": "design/002-keyed-randomness.md"}
    assert "More" not in sections


def test_an_interval_in_a_table_stays_in_one_line(source: Path) -> None:
    assert "| 92.6 [91.5,\N{NO-BREAK SPACE}93.7] |" in (source / "pages" / "results.md").read_text()


def test_no_page_links_to_what_the_site_does_not_have(source: Path) -> None:
    pages = source / "pages"
    for page in pages.rglob("*.md"):
        prose = re.sub(r"^( *)```.*?^\1```$|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
        for target in re.findall(r"\]\(([^()\s#]+)", prose):
            assert "://" in target or (page.parent / target).exists(), f"{page.relative_to(pages)} leads to {target}"


def test_code_is_left_as_it_is(source: Path) -> None:
    assert "\n  gain over before  " in (source / "pages" / "index.md").read_text()
    shown = (source / "pages" / "files" / "recipes" / "gsm8k.md").read_text()
    assert (ROOT / "recipes" / "gsm8k.yaml").read_text().rstrip() in shown


def test_a_method_s_formulas_may_wrap_and_output_elsewhere_may_not(source: Path) -> None:
    pages = source / "pages"
    assert "``` { .text .formula }\nTrusted with" in (pages / "methods" / "reference" / "tropd.md").read_text()
    assert ".formula" not in (pages / "index.md").read_text()


def test_arguments_that_share_a_line_get_one_each() -> None:
    written = (
        "What.\n\nArgs:\n    a: one, ``b: x``\n        more. c, d: both (e: not). f: last.\nRaises:\n    E: g: h.\n"
    )
    split_up = (
        "What.\n\nArgs:\n    a: one, ``b: x`` more.\n    c, d: both (e: not).\n    f: last.\n\nRaises:\n    E: g: h.\n"
    )
    assert readable(written) == split_up
    assert readable("No arguments. a: b.\n") == "No arguments. a: b.\n"


def test_exceptions_that_share_a_line_get_one_each() -> None:
    assert readable("What.\n\nRaises:\n    RunError: it: no. DataError: none\n        at all.\n").endswith(
        "Raises:\n    RunError: it: no.\n    DataError: none at all.\n"
    )


def test_a_source_of_two_lines_is_a_paragraph_with_its_papers_led_to() -> None:
    told = readable("What.\n\nArgs:\n    a: b.\nSource: one: A et al., arXiv:2402.03300, eq. 1. two:\n    B et al.\n")
    paper = "[arXiv:2402.03300](https://arxiv.org/abs/2402.03300)"
    assert told == f"What.\n\nArgs:\n    a: b.\n\n**Source:** one: A et al., {paper}, eq. 1. two: B et al.\n"


def test_a_doctest_is_code_and_no_quotation() -> None:
    assert readable("What.\n\n>>> 1 + 1\n2\n>>> 3\n3\n\nMore.\n") == (
        "What.\n\n```pycon\n>>> 1 + 1\n2\n>>> 3\n3\n```\n\nMore.\n"
    )


def test_the_api_s_pages_are_read_with_it(source: Path) -> None:
    plugins = yaml.safe_load((source / "mkdocs.yml").read_text())["plugins"]
    options = next(each["mkdocstrings"] for each in plugins if "mkdocstrings" in each)["handlers"]["python"]["options"]
    (extension,) = options["extensions"]
    assert Path(extension.rpartition(":")[0]).is_file()


def test_the_settings_ask_no_other_host(source: Path) -> None:
    theme = yaml.safe_load((source / "mkdocs.yml").read_text())["theme"]
    assert theme["font"] is False


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="nowhere.html">', "no such file"),
        ('<a href="b.html#nowhere">', "no such anchor"),
        ('<a href="#nowhere">', "no such anchor"),
        ('<img src="https://example.com/x.png">', "loads https"),
        ('<script src="//example.com/x.js">', "loads //example.com"),
    ],
)
def test_the_check_of_a_built_site_finds_what_is_wrong(html: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(html)
    (tmp_path / "b.html").write_text('<h2 id="here"></h2><a href="a.html"><a href="#here"><a href="https://x.org">')
    assert [fault in found for found in faults_of(tmp_path)] == [True]
