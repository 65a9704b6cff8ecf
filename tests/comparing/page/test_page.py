"""The page of two models on office tasks: real files, rendered, opened in a browser where there is one."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.comparing.hand_made import result, right
from tests.comparing.page.two_desks import HOSTILE, two_desks
from tests.reports.test_browser import CHROMIUM, opened
from understudy.comparing import Terms, compare, compare_results
from understudy.comparing.page import default_page, render, write_comparison_page
from understudy.comparing.report import Comparison
from understudy.errors import UnderstudyError


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare_results(*two_desks(tmp_path_factory.mktemp("desks")), Terms())


@pytest.fixture(scope="module")
def page(desks: Comparison) -> str:
    return render(desks)


def leaf(page: str, problem: str) -> str:
    """The markup of one problem."""
    articles = re.findall(r'<article class="leaf".*?</article>', page, flags=re.DOTALL)
    return next(article for article in articles if f"<h2>{problem} " in article)


def test_each_problem_has_a_leaf_with_its_verdict(page: str) -> None:
    assert re.findall(r'<article class="leaf" id="leaf-\d" data-verdict="(\w+)"', page) == ["win", "tie", "win"]
    assert "Of 3 problems, A does better on 2, the same on 1 and worse on 0." in page
    assert "not answered by B" in leaf(page, "list")


def test_spreadsheets_are_tables_with_the_differing_cells_marked(page: str) -> None:
    budget = leaf(page, "budget")
    cells = re.findall(r'<td class="([^"]*)" title="[^"]*">([^<]*)</td>', budget)
    marked = [text for kind, text in cells if "changed" in kind.split()]
    assert marked == ["8400", "10009.5", "8500", "Insurance", "75", "2026-01", "10084.5"]
    assert '<tr class="gap">' in budget
    assert 'title="10009.5 · =SUM(B2:B5)"' in budget


def test_documents_are_pages_of_text(page: str) -> None:
    memo = leaf(page, "memo")
    assert '<p class="title">Quarterly memo</p>' in memo
    assert "rose by <mark>4</mark> %" in memo and "rose by <mark>14</mark> %" in memo
    assert "<mark>Signed: A. Lovelace, 2026-01-31</mark>" in memo
    assert '<img src="data:image/png;base64,' in memo
    assert "Revenue by quarter" in memo
    assert "extra.xlsx is corrupt" in memo and "turn limit reached" in memo


def test_the_rubric_shows_the_verdict_and_votes_of_both(page: str) -> None:
    rows = re.findall(r"<tr( class=\"differs\")?><th scope=\"row\">Totals are live formulas</th>(.*?)</tr>", page)
    assert len(rows) == 3
    differs, cells = rows[0]
    assert differs and re.sub(r"<.*?>", " ", cells).split() == ["2", "met", "✓✓✗", "not", "met", "✗✗✗"]
    assert "✓?✓" in page


def test_everything_a_model_wrote_is_escaped(page: str) -> None:
    assert HOSTILE not in page
    assert "&lt;script&gt;document.title" in page
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Tags().feed(page)
    assert [tag for tag, _ in tags].count("script") == 1
    assert all((attributes["src"] or "").startswith("data:image/") for tag, attributes in tags if tag == "img")
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]


def test_a_file_outside_the_results_is_not_read(tmp_path: Path) -> None:
    first, second = two_desks(tmp_path)
    (tmp_path / "secret.txt").write_text("the secret words")
    file = first / "results.json"
    file.write_text(file.read_text().replace("list/deliverables/people.csv", "../secret.txt"))
    page = render(compare_results(first, second, Terms()))
    assert "the secret words" not in page
    assert "secret.txt lies outside the workspace" in page


def test_answers_of_a_suite_stand_side_by_side() -> None:
    page = render(compare(result({"x": [1, 0], "y": [0.5]}), result({"x": [0, 0], "y": [0.5]})))
    assert "x is <mark>1</mark>" in page and "x is <mark>0</mark>" in page
    assert "<h4>Answer 2</h4>" in page
    assert render(compare(result(right("1")), result(right("1")))).count("<mark>") == 0


def test_the_same_comparison_gives_the_same_bytes(desks: Comparison, page: str) -> None:
    assert render(desks) == page


def test_where_the_page_goes(desks: Comparison, tmp_path: Path) -> None:
    assert desks.a.office is not None
    assert default_page(desks) == desks.a.office.folder / "against-before.html"
    assert default_page(compare(result(right("1")), result(right("1")))) is None
    assert write_comparison_page(desks, tmp_path / "new" / "page.html").read_text(encoding="utf-8").endswith("</html>")
    (tmp_path / "file").write_text("")
    with pytest.raises(UnderstudyError, match=r"cannot be written.*--page"):
        write_comparison_page(desks, tmp_path / "file" / "page.html")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_keys_turn_the_page_and_read_blind(page: str, tmp_path: Path) -> None:
    keys = "".join(f"press({key!r});" for key in ("ArrowRight", "j", "k", "b", "r"))
    press = "const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));"
    more = f"<script>{press}{keys}document.querySelector('[value=tie]').click();</script></body>"
    open_policy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    (tmp_path / "page.html").write_text(open_policy.replace("</body>", more), encoding="utf-8")
    dom, complaints = opened(tmp_path / "page.html", tmp_path / "profile")
    assert complaints == []
    assert '<body class="leafing blind">' in dom
    assert re.findall(r'<article class="([^"]*)"', dom) == ["leaf", "leaf current revealed", "leaf"]
    assert re.findall(r'<li data-verdict="(\w+)"[^>]* hidden', dom) == ["win", "win"]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_it_opens_on_the_first_problem_without_complaint(desks: Comparison, tmp_path: Path) -> None:
    dom, complaints = opened(write_comparison_page(desks, tmp_path / "page.html"), tmp_path / "profile")
    assert complaints == [], "no error, no refused script, no refused request"
    assert re.search(r'<body class="leafing">', dom)
    assert re.findall(r'<article class="([^"]*)"', dom) == ["leaf current", "leaf", "leaf"]
    assert "<title>after against before" in dom
    assert shutil.which(CHROMIUM or "")
