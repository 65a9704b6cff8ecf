"""The table of methods as people meet it: on the page, and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Understudy
from tests.cli.conftest import understudy as understudy
from understudy.engines.tinker.methods import methods_markdown, methods_on_tinker

PAGE = Path(__file__).parents[3] / "docs" / "tinker.md"


def test_the_page_has_the_table_that_the_program_makes() -> None:
    assert methods_markdown() in PAGE.read_text()


def test_the_command_prints_it(understudy: Understudy) -> None:
    ended = understudy("methods", "--engine", "tinker")
    assert ended.code == 0
    assert len(ended.out.splitlines()) == 1 + len(methods_on_tinker())
    ended = understudy("methods", "gkd", "--engine", "tinker", "--json")
    (gkd,) = json.loads(ended.out)
    assert gkd["how"] == "refused" and "whole vocabularies" in gkd["reason"]
    ended = understudy("methods", "--engine", "other")
    assert ended.code == 2 and "expected tinker" in ended.err
