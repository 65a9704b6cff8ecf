"""The page in a real browser, where one is installed: its script runs, nothing else does, nothing is fetched."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.reports.hand_made import make_run
from understudy.reports import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=3000",
]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_page_works_without_complaint(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path / "run"))
    dom, complaints = opened(page, tmp_path / "profile")
    assert complaints == [], "no error, no refused script, no refused request"
    assert re.search(r'<button type="button" id="theme">Theme: system', dom), "the page's script ran"
    assert re.search(r'class="ends".*?−5</span>', dom), "and coloured the tokens"
    assert "<script>window" not in dom


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_the_page_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    """Even if some text came through unescaped, the page's policy would neither run it nor fetch for it."""
    page = write_report(make_run(tmp_path / "run"))
    strange = "<script>document.title = 'run'</script><img src='http://localhost:9/x.png'>"
    page.write_text(page.read_text(encoding="utf-8").replace("</main>", strange + "</main>"), encoding="utf-8")
    dom, complaints = opened(page, tmp_path / "profile")
    assert "<title>hand-made" in dom
    assert len(complaints) == 2
    assert all("Content Security Policy" in complaint for complaint in complaints)


def opened(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The page's document after its script ran, and what the console says."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout, [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
