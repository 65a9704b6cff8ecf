"""Reads a recipe from its file, writes it back, and tells two recipes apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from understudy.errors import RecipeError
from understudy.recipe.data import Suite
from understudy.recipe.outline import dotted, nearest
from understudy.recipe.overrides import apply_overrides
from understudy.recipe.problems import recipe_error
from understudy.recipe.recipe import Recipe
from understudy.recipe.yaml_text import format_yaml, parse_yaml
from understudy.shipped import shipped_recipe, shipped_recipes


def load_recipe(path: str | Path, overrides: str | Sequence[str] = ()) -> Recipe:
    """The recipe in the YAML file ``path`` after ``key.sub=value`` overrides; its name defaults to the file's stem.

    Where there is no such file, a name alone is that of a recipe that comes with the package.

    Args:
        overrides: one, or several.
    Raises:
        RecipeError: no such file, not YAML (with the line), or a field that is missing, misspelt or out of range.
    """
    path = _shipped_or(Path(path))
    overrides = [overrides] if isinstance(overrides, str) else overrides
    raw = apply_overrides(_mapping_in(path, Recipe), overrides, Recipe)
    if raw.get("name") is None:
        raw["name"] = path.stem.lstrip(".")
    return recipe_from(raw, source=str(path))


def is_recipe(path: str | Path) -> bool:
    """Whether a YAML file is a recipe, which has a student, and no suite; raises RecipeError for one without YAML."""
    raw = parse_yaml(_read(Path(path)), source=str(path))
    return isinstance(raw, dict) and "student" in raw


def load_suite(path: str | Path) -> Suite:
    """The suite in the YAML file ``path``; its name defaults to the file's stem.

    Raises:
        RecipeError: no such file, not YAML, or a field that is missing, misspelt or out of range.
    """
    path = Path(path)
    raw = _mapping_in(path, Suite)
    if raw.get("name") is None:
        raw["name"] = path.stem.lstrip(".")
    try:
        return Suite.model_validate(raw)
    except ValidationError as error:
        raise recipe_error(error, Suite, raw, source=str(path)) from error


def _mapping_in(path: Path, model: type[BaseModel]) -> dict[str, Any]:
    text = _read(path, also=shipped_recipes() if model is Recipe else ())
    raw = parse_yaml(text, source=str(path))
    if not isinstance(raw, dict):
        what = "is empty" if raw is None else f"is not a {model.__name__.lower()}"
        raise RecipeError(f"{path} {what}", expected="YAML with the keys " + ", ".join(model.model_fields))
    return raw


def recipe_from(raw: Mapping[str, Any], *, source: str = "recipe") -> Recipe:
    """The recipe with these plain values.

    Raises:
        RecipeError: a field is missing, misspelt or out of range; the message begins with ``source``.
    """
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        raise recipe_error(error, Recipe, raw, source=source) from error


def to_yaml(recipe: Recipe) -> str:
    """The recipe with every field resolved; reading it back gives an equal recipe."""
    return format_yaml(recipe.model_dump(mode="json"))


def differences(old: Recipe, new: Recipe) -> list[str]:
    """The fields in which two recipes differ, each with both values: ``optimizer.learning_rate: 0.1 -> 0.2``."""
    return _differences(old.model_dump(mode="json"), new.model_dump(mode="json"), ())


def _differences(old: object, new: object, path: tuple[str | int, ...]) -> list[str]:
    if path[-1:] in (("server",), ("urls",)) and isinstance(old, list) and isinstance(new, list):
        return []  # where a server listens changes no number; which model answers there is checked elsewhere
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        pairs = [(key, old.get(key), new.get(key)) for key in keys]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = [(index, *pair) for index, pair in enumerate(zip(old, new, strict=True))]
    else:
        return [] if old == new else [f"{dotted(path)}: {_shown(old)} -> {_shown(new)}"]
    return [line for key, before, after in pairs for line in _differences(before, after, (*path, key))]


def _shown(value: object) -> str:
    return "null" if value is None else repr(value)


def _shipped_or(path: Path) -> Path:
    """The package's own recipe of this name, where it is a name alone and no file has it; else the path."""
    is_name = len(path.parts) == 1 and path.suffix not in (".yaml", ".yml")
    return (None if path.exists() or not is_name else shipped_recipe(path.name)) or path


def _to_get(path: Path, also: Sequence[str]) -> str | None:
    """What to do about a file that is missing; ``also`` are names that come with the package."""
    if path.stem in also:
        return (
            f"It comes with the package: take {path.stem}, or copy it by understudy recipes {path.stem} > {path.name}."
        )
    siblings = [str(file) for file in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
    right = nearest(str(path), [*siblings, *also])
    return f"Did you mean {right}?" if right else None


def _read(path: Path, *, also: Sequence[str] = ()) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RecipeError(f"{path} does not exist", remedy=_to_get(path, also)) from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"recipe {path} is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
