"""What the program can be told stands on a page: no option is known to its own help alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from tests.docs.pages import ROOT
from understudy import cli

UNDERSTOOD = {"--help", "--json", "--markdown", "--version", "--traceback"}


def options_of(command: Any, name: str = "understudy") -> Iterator[tuple[str, str]]:
    """Command and option, by the option's long name; of a switch, the word that turns it on."""
    for parameter in command.params:
        if parameter.param_type_name == "option" and not parameter.hidden:
            yield name, max(parameter.opts, key=len)
    for word, below in getattr(command, "commands", {}).items():
        yield from options_of(below, f"{name} {word}")


def test_every_option_stands_on_a_page() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    told = {word for page in pages for word in re.findall(r"--[a-z][a-z-]+", page.read_text(encoding="utf-8"))}
    found = list(options_of(typer.main.get_command(cli.app)))
    assert len(found) > 100, "the walk reached the commands"
    assert not sorted({f"{name} {option}" for name, option in found if option not in told | UNDERSTOOD})
