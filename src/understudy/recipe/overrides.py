"""``key.sub=value`` from the command line, put into the plain data of a recipe before it is checked."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from understudy.errors import RecipeError
from understudy.recipe.outline import child, dotted, field_at, has_child, is_text
from understudy.recipe.yaml_text import parse_yaml


def apply_overrides(raw: dict[str, Any], overrides: Sequence[str], model: type[BaseModel]) -> dict[str, Any]:
    """A copy of ``raw`` in which each override, in order, has replaced or added its field.

    Values are YAML (``0.1``, ``true``, ``null``, ``[a, b]``); where the field takes a string only, the value is taken
    as it stands and needs no quotes. Parts that are numbers index lists; sections that do not exist yet are made, and
    a name that stands for a section (``objective: gkd``) is one as soon as a field of it is given.

    Raises:
        RecipeError: no ``=``, an empty key, a path through something that is no section, or a value that is not YAML.
    """
    result = copy.deepcopy(raw)
    for override in overrides:
        path, text = _split(override)
        _spell_out(result, path, model)
        _put(result, path, _value(text, path, model, result, override), override)
    return result


def _split(override: str) -> tuple[tuple[str | int, ...], str]:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise RecipeError("an override cannot be read", got=repr(override), expected="key.sub=value")
    return tuple(int(part) if _is_place(part) else part for part in parts), text


def _spell_out(raw: dict[str, Any], path: tuple[str | int, ...], model: type[BaseModel]) -> None:
    """Put sections where only their names stand, along the path to one of their fields."""
    place: object = raw
    for depth, part in enumerate(path[:-1], start=1):
        short, field = child(place, part), field_at(model, path[:depth], raw)
        if isinstance(short, str) and field is not None and has_child(place, part):
            spelt = [said for validator in _before(field) if isinstance(said := validator.func(short), Mapping)]  # type: ignore[call-arg]
            place[part] = spelt[0] if spelt else short  # type: ignore[index]
        place = child(place, part)


def _before(field: FieldInfo) -> Iterator[BeforeValidator]:
    """What a field does to its value before it is checked; that of a field that may be null stands inside."""
    inner = [each for part in get_args(field.annotation) for each in getattr(part, "__metadata__", ())]
    yield from (each for each in [*field.metadata, *inner] if isinstance(each, BeforeValidator))


def _is_place(part: str) -> bool:
    """Whether a part may be a place in a list; ``007`` is a name."""
    return part.isascii() and part.isdigit() and len(part) < 7 and str(int(part)) == part


def _value(text: str, path: tuple[str | int, ...], model: type[BaseModel], raw: object, override: str) -> Any:
    if is_text(field_at(model, path, raw)) and text.strip() not in ("", "~", "null") and text.strip()[0] not in "'\"":
        return text
    return parse_yaml(text, source=f"override {override!r}")


def _put(target: Any, path: tuple[str | int, ...], value: object, override: str) -> None:
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(target, dict):
            part = str(part)
            if last:
                target[part] = value
            elif target.get(part) is None:
                target[part] = {}
        elif isinstance(target, list) and isinstance(part, int) and part < len(target):
            if last:
                target[part] = value
        else:
            kind = f"a list of {len(target)}" if isinstance(target, list) else repr(target)
            place = dotted(path[:depth]) or "the recipe"
            raise RecipeError(f"override {override!r} leads nowhere: {place} is {kind}")
        target = target[part]
