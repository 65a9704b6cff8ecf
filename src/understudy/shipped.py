"""The recipes that come with the package: ``recipes/`` of the repository, which the package's folder links to."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

_YAML = ".yaml"


def shipped_recipes() -> list[str]:
    """Their names, sorted.

    >>> "testbed-opd" in shipped_recipes()
    True
    """
    return sorted(file.name.removesuffix(_YAML) for file in _folder().glob(f"*{_YAML}"))


def shipped_recipe(name: str) -> Path | None:
    """The file of the recipe of that name; None where there is none.

    >>> shipped_recipe("../secrets") is None
    True
    """
    return _folder() / f"{name}{_YAML}" if name in shipped_recipes() else None


def _folder() -> Path:
    return Path(str(resources.files("understudy"))) / "recipes"
