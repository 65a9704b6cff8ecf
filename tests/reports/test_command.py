"""Pages of real runs through the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from transformers.utils import logging

from tests.reports.hand_made import Page
from tests.tiny_files import make_workplace
from understudy import api, cli
from understudy.training.progress import Silent


class Noted(Silent):
    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["understudy", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code


def test_a_run_ends_with_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logging.disable_progress_bar()
    place = make_workplace(tmp_path)
    command(monkeypatch, "train", place.path / "tiny.yaml")
    page = Page((place.run / "report.html").read_text(encoding="utf-8"))
    assert page.unbalanced == []
    assert page.texts("h1") == ["tiny"]
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Steps"] == "4"
    assert {"Teacher reverse KL", "Time by phase", "Evaluation: words"} <= set(page.texts("h3"))
    assert any("Student after opd" in row for row in page.texts("tr"))
    assert not page.with_class("note"), "nothing is missing in a whole run"
    assert any(tag == "i" and "n" in (attrs.get("class") or "") for tag, attrs in page.tags), "tokens are coloured"
    assert any(text.strip().startswith("w") for text in page.texts("i")), "and have their text"

    other = tmp_path / "page.html"
    command(monkeypatch, "report", place.run, "--out", other)
    assert other.read_bytes() == (place.run / "report.html").read_bytes()


def test_a_report_that_fails_costs_a_notice_and_no_more(tmp_path: Path) -> None:
    logging.disable_progress_bar()
    place = make_workplace(tmp_path)
    (tmp_path / "taken").mkdir()
    place.run.mkdir(parents=True)
    display = Noted()
    api.report_or_tell(tmp_path / "taken", display)
    (told,) = display.notices
    assert "report was not written" in told
    assert "is no run" in told


def test_what_is_no_run_ends_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["understudy", "report", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "is no run" in capsys.readouterr().err
