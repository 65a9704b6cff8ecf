"""What the Tab key offers beyond commands and options: recipes, their fields, and names of methods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def recipe_files(incomplete: str) -> list[str]:
    """YAML files, and folders to look into, that begin so.

    >>> recipe_files("no such folder/")
    []
    """
    folder, _, name = incomplete.rpartition("/")
    place = Path(folder or ("/" if incomplete.startswith("/") else "."))
    if not place.is_dir():
        return []
    found = sorted(each for each in place.iterdir() if each.name.startswith(name) and not each.name.startswith("."))
    shown = [each for each in found if each.is_dir() or each.suffix in (".yaml", ".yml")]
    prefix = f"{folder}/" if "/" in incomplete else ""
    return [f"{prefix}{each.name}{'/' if each.is_dir() else ''}" for each in shown]


def fields(incomplete: str) -> list[str]:
    """``key.sub=`` of a recipe that begin so, and the names of methods after ``objective.method=``.

    >>> fields("rollout.num")
    ['rollout.num_generations=']
    >>> fields("objective.method=gk")
    ['objective.method=gkd']
    """
    if incomplete.startswith("objective.method="):
        from understudy.objectives.methods import entries

        offered: Iterator[str] = (f"objective.method={entry.name}" for entry in entries())
    else:
        offered = _keys()
    return [each for each in offered if each.startswith(incomplete)]


def methods(incomplete: str) -> list[str]:
    """Names of methods that begin so."""
    from understudy.objectives.methods import entries

    return [entry.name for entry in entries() if entry.name.startswith(incomplete)]


def _keys() -> Iterator[str]:
    """The fields of a recipe's own sections; those with choices of sections are left at their first name."""
    from pydantic import BaseModel

    from understudy.recipe import Recipe

    for name, field in Recipe.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from (f"{name}.{key}=" for key in section.model_fields)
        elif name == "objective":
            yield "objective.method="
        else:
            yield f"{name}="
