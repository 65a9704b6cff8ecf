"""``understudy doctor``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from understudy.completions import fields
from understudy.completions import recipes as recipe_names
from understudy.starting import starting

if TYPE_CHECKING:
    from understudy.doctor import Diagnosis

_COLOURS = {"ok": "green", "warn": "yellow", "stop": "bold red"}


def doctor(
    recipe: Annotated[
        Path, typer.Argument(help="A YAML file, or a name of `understudy recipes`.", autocompletion=recipe_names)
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.sub=value, one field each.", autocompletion=fields)
    ] = None,
    problems: Annotated[int, typer.Option(min=4, help="Answered by the student for the measured part.")] = 32,
    fast: Annotated[bool, typer.Option("--fast", help="Only what can be read; no weights are loaded.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """Check a recipe before its first step.

    Models, data, room, and what the teacher makes of the student; exit status 1 if a finding says stop.
    """
    with starting():
        from understudy.doctor import diagnose
        from understudy.recipe import load_recipe

    resolved = load_recipe(recipe, overrides or [])
    shown = Console(stderr=True, highlight=False, markup=False)
    with shown.status("the doctor looks at the recipe") as status:
        found = diagnose(resolved, num_problems=problems, fast=fast, say=status.update)
    if as_json:
        print(json.dumps(found.to_json()), flush=True)
    else:
        _show(found)
    raise typer.Exit(1 if found.stops else 0)


def _show(found: Diagnosis) -> None:
    """The page: a line a finding, the remedy under it, the recommendation last."""
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in found.findings:
        table.add_row(finding.verdict, finding.check, _printable(finding.what), style=_COLOURS[finding.verdict])
        if finding.verdict != "ok" and finding.remedy:
            table.add_row("", "", f"-> {_printable(finding.remedy)}")
    console.print(table)
    if found.measures is not None:
        kl = found.measures.reverse_kl
        console.print(
            f"\nreverse KL {kl.mean:.3f} [{kl.low:.3f}, {kl.high:.3f}] nats a token, over "
            f"{found.measures.num_rollouts} answers of {found.measures.length:.0f} tokens"
        )
    if found.advice is not None:
        console.print(f"recommended method: {found.advice.method} ({found.advice.why})")


def _printable(text: str) -> str:
    from understudy.training.plain_text import printable  # findings quote data, tokens and templates

    return printable(text)
