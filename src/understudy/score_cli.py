"""``understudy score``. Heavy imports happen inside the command."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from understudy.completions import fields
from understudy.completions import recipes as recipe_names
from understudy.starting import starting


def score(
    recipe: Annotated[
        Path, typer.Argument(help="A YAML file, or a name of `understudy recipes`.", autocompletion=recipe_names)
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key.sub=value, one field each.", autocompletion=fields)
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the scores; one that was begun is gone on with.")] = ...,  # type: ignore[assignment]
    rollouts: Annotated[
        Path | None, typer.Option(help="A run's rollouts; else the student writes the recipe's.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(min=0, help="Candidates a token; else what the method needs.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """Keep a teacher's scores of fixed rollouts on disk.

    Runs then need no teacher: teacher: {scores: DIR}.
    """
    with starting():
        from understudy.offline import score as scored
        from understudy.recipe import load_recipe

    resolved = load_recipe(recipe, overrides or [])
    with Console(stderr=True, highlight=False, markup=False).status("loading the models") as status:
        done = scored(resolved, out, rollouts=rollouts, top_k=top_k, say=status.update)
    if as_json:
        about = {key: value for key, value in done.manifest.to_json().items() if key != "parts"}
        figures = {key: value for key, value in asdict(done).items() if key.startswith("num_")}
        print(json.dumps({**figures, **about}), flush=True)
        return
    missing = f"; {done.num_without:,} tokens have no score" if done.num_without else ""
    print(
        f"{done.num_rollouts:,} rollouts, {done.num_rows:,} rows in {done.path}{missing}.", file=sys.stdout, flush=True
    )
    print(f"teacher: {{scores: {done.path}, fingerprint: {done.manifest.teacher}}}", flush=True)
