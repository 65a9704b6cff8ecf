"""Every page in a real browser, as an audit would have it: see ``benchmarks/pages.py`` for what is asked of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from benchmarks.chromium import PROGRAM, Browser, browser
from benchmarks.page_samples import samples
from benchmarks.pages import DESK, Sample, complaints_of

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no chromium on this machine")
PAGES = (
    "run report",
    "methods",
    "side by side",
    "regression",
    "health",
    "office study",
    "watch: runs",
    "watch: curves",
    "watch: microscope",
    "watch: nothing there",
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sample]]:
    with samples(tmp_path_factory.mktemp("pages")) as found:
        yield {sample.name: sample for sample in found}


@pytest.fixture(scope="module")
def seen() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wrong_with_a_page(seen: Browser, pages: dict[str, Sample], name: str) -> None:
    assert complaints_of(seen, pages[name].address) == []


def test_keys_go_through_rollouts_colours_and_help(seen: Browser, pages: dict[str, Sample]) -> None:
    seen.look(width=DESK)
    seen.open(pages["watch: microscope"].address)
    seen.press("j")
    seen.press("j")
    current = "[...document.querySelectorAll('.rollout')].findIndex((one) => one.classList.contains('current'))"
    assert seen.run(current) == 1
    seen.press("ArrowRight")
    assert seen.run("document.querySelector('.token dl').textContent").startswith("id")
    before = seen.run("document.querySelector('.meaning b').textContent")
    seen.press("c")
    assert seen.run("document.querySelector('.meaning b').textContent") != before
    seen.press("?")
    assert seen.run("document.querySelector('#keys').open") is True
    seen.press("Escape", 27)
    assert seen.run("document.querySelector('#keys').open") is False


def test_a_choice_is_drawn_at_once_and_kept_in_the_address(seen: Browser, pages: dict[str, Sample]) -> None:
    seen.look(width=DESK)
    seen.open(pages["watch: curves"].address)
    seen.run("document.querySelector('[name=x][value=time]').click()")
    for _ in range(100):
        seen.pause(0.1)
        if "second" in seen.run("document.querySelector('.legend .at').textContent"):
            break
    assert "second" in seen.run("document.querySelector('.legend .at').textContent")
    assert "x=time" in seen.run("location.search")
    drawn = seen.run("document.querySelectorAll('svg.plot').length")
    seen.run("document.querySelector('svg.plot').focus()")
    assert drawn > 3 and seen.run("document.querySelector('.cursor:not([hidden])') !== null"), "new charts can be read"


def test_the_checks_find_what_is_wrong(seen: Browser, pages: dict[str, Sample], tmp_path_factory) -> None:
    """A check that cannot fail says nothing of the pages above."""
    page = tmp_path_factory.mktemp("bad") / "bad.html"
    page.write_text(
        "<!doctype html><title></title><body><h1>a</h1><h3>b</h3><p style='color:#999;background:#fff'>pale</p>"
        "<button style='outline:none'></button><table><tr><td>1</td></tr></table><div style='width:2000px'>wide</div>"
        "<a tabindex='-1' href='#'>no</a><script>console.error('no'); new Image().src = 'http://localhost:9/x.png'</script>"
    )
    found = " ".join(complaints_of(seen, page.as_uri()))
    for words in (
        "no language",
        "no title",
        "no main",
        "no skip link",
        "follows a h1",
        "contrast 2.8",
        "cannot be seen",
        "without headers",
        "scrolls sideways",
        "a button without a name",
        "console: ",
        "asks for http://localhost:9",
    ):
        assert words in found
