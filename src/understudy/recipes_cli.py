"""``understudy recipes [NAME]``: the recipes that come with the package."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml

from understudy.completions import shipped
from understudy.errors import UserMistakeError
from understudy.shipped import shipped_recipe, shipped_recipes
from understudy.terminal import print_table

_NAMING = ("model", "dataset", "retriever_url")
_MADE_HERE = ("testbed/", "self", "initial")
_WORLDS = {"alfworld": "understudy[agents]", "webshop": "WebShop's files"}


@dataclass(frozen=True)
class ShippedRecipe:
    """What the list says of one.

    Args:
        name: by which it is printed and trained. what: the beginning of its comment. method: its objective's.
        needs: models and data of a hub, files, servers, and runs of other recipes; empty where all of it is made here.
    """

    name: str
    what: str
    method: str
    needs: tuple[str, ...]


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this one.", autocompletion=shipped)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs to read.")] = False,
) -> None:
    """List the recipes that come along, or print one.

    understudy recipes NAME > mine.yaml is a copy to change; understudy train NAME trains by it as it is.
    """
    if as_json:
        listed = [_told(one) for one in shipped_recipes() if name in (None, one)]
        if not listed:
            _file(name or "")
        print(json.dumps([asdict(one) for one in listed]))
    elif name is not None:
        print(_file(name).read_text(encoding="utf-8"), end="")
    else:
        listed = sorted(map(_told, shipped_recipes()), key=lambda one: (bool(one.needs), one.name))
        rows = [[one.name, one.what, one.method, ", ".join(one.needs) or "nothing"] for one in listed]
        print_table([["recipe", "what it is", "method", "needs"], *rows])
        print("understudy recipes NAME prints one; understudy train NAME trains by it.")


def _file(name: str) -> Path:
    file = shipped_recipe(Path(name).name.removesuffix(".yaml"))
    if file is None:
        from understudy.recipe.outline import nearest

        near = nearest(name, shipped_recipes())
        raise UserMistakeError(
            f"no recipe {name!r} comes with the package",
            remedy=f"Did you mean {near}?" if near else "understudy recipes lists them.",
        )
    return file


def _told(name: str) -> ShippedRecipe:
    text = _file(name).read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    objective = content["objective"]
    method = objective if isinstance(objective, str) else objective["method"]
    return ShippedRecipe(name, _beginning(text), method, tuple(dict.fromkeys(_needed(content))))


def _beginning(text: str) -> str:
    """The first clause of a recipe's comment.

    >>> _beginning("# Two turns an episode: say it,\\n# then say it again.\\nsteps: 1\\n")
    'Two turns an episode'
    """
    lines = [line.removeprefix("#").strip() for line in text.split("\n\n")[0].splitlines() if line.startswith("#")]
    return re.split(r"[:.;](?:\s|$)| \(", " ".join(lines), maxsplit=1)[0]


def _needed(content: object, key: str = "") -> Iterator[str]:
    """What a recipe takes from elsewhere, in the order of its fields."""
    if isinstance(content, dict):
        for name, value in content.items():
            if name != "evaluation":
                yield from _needed(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from _needed(value, key)
    elif key == "environment" and content in _WORLDS:
        yield _WORLDS[str(content)]
    elif key in _NAMING and isinstance(content, str) and not content.startswith(_MADE_HERE):
        run = re.match(r"runs/([^/]+)/", content)
        yield f"a run of {run[1]}" if run else content
