"""``understudy methods [NAME]``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from understudy.completions import among
from understudy.completions import methods as method_names
from understudy.errors import UserMistakeError
from understudy.terminal import print_table

if TYPE_CHECKING:
    from understudy.objectives.methods import MethodEntry


def methods(
    name: Annotated[str | None, typer.Argument(help="Show the page of this one.", autocompletion=method_names)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the page of every method into this folder.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="How each runs on this engine: tinker.", autocompletion=among("tinker"))
    ] = None,
) -> None:
    """List the methods, or tell all of one.

    The list has what each is, what it needs of a teacher or of data, and where it comes from.
    """
    if markdown is not None and (name is not None or engine is not None or as_json):
        raise UserMistakeError(
            "--markdown writes the pages of all methods", remedy="Leave out NAME and --engine, and --json."
        )
    if engine is not None:
        _show_methods_on(engine, name, as_json=as_json)
        return
    from understudy.objectives.methods import entries
    from understudy.reports.method_pages import entry_of, page_of, write_pages

    listed = entries() if name is None else [entry_of(name)]
    if markdown is not None:
        print(f"{len(write_pages(markdown))} pages in {markdown}")
    elif as_json:
        print(json.dumps([asdict(entry) for entry in listed]))
    elif name is not None:
        print(page_of(name).rstrip())
    else:
        print_table([["method", "what it is", "needs", "source"], *map(_method_row, listed)])
        print("understudy methods NAME tells all of one: its formula, its fields, an example.")


def _method_row(entry: MethodEntry) -> list[str]:
    paper = re.search(r"arXiv:[\d.]*\d", entry.source)
    return [
        entry.name,
        entry.title.rstrip("."),
        ", ".join(entry.needs),
        paper[0] if paper else entry.source.rstrip("."),
    ]


def _show_methods_on(engine: str, name: str | None, *, as_json: bool) -> None:
    from understudy.engines.tinker.methods import method_rows, methods_on_tinker
    from understudy.reports.method_pages import entry_of

    if engine != "tinker":
        raise UserMistakeError("every method runs on this engine, or there is none", got=engine, expected="tinker")
    wanted = None if name is None else entry_of(name).name
    found = [one for one in methods_on_tinker() if wanted in (None, one.name)]
    if as_json:
        print(json.dumps([asdict(one) for one in found]))
    else:
        print_table(method_rows(found))
