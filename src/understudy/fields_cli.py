"""``understudy fields [SECTION]``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from understudy.completions import sections as section_names
from understudy.starting import starting
from understudy.terminal import print_table


def fields(
    path: Annotated[
        str | None, typer.Argument(help="rollout, rollout.temperature, ...", autocompletion=section_names)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
    markdown: Annotated[Path | None, typer.Option(help="Write the page of all fields into this file.")] = None,
) -> None:
    """Tell what may stand in a recipe.

    The sections; or all fields of one with default and meaning; or one field.
    """
    with starting():
        from understudy.recipe.sections import sections
        from understudy.reports.field_page import section_text, table_rows, write_fields_page

    if markdown is not None:
        write_fields_page(markdown)
        print(markdown)
    elif as_json:
        found = [one for one in sections() if path in (None, one.path)]
        if path is not None and not found:
            section_text(path)  # says what is wrong, or that it is one field
        print(json.dumps([asdict(one) for one in found]))
    elif path is not None:
        print(section_text(path))
    else:
        print_table([["section", "what it is", "fields"], *table_rows()])
        print("understudy fields SECTION tells all of one.")
