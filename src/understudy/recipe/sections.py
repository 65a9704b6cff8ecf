"""Every section of a recipe and every field in it as data: where it stands, what it takes, what it means."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from understudy.objectives.fields import meanings_of, named_fields, notes_of, type_in_words
from understudy.objectives.methods import MethodConfig
from understudy.recipe.outline import sections_in
from understudy.recipe.recipe import Recipe


@dataclass(frozen=True)
class RecipeField:
    """A field of a section.

    Args:
        name: in a recipe. type: what it takes, in words. default: as JSON; None where it must be given.
        meaning: what its docstring says. section: path of the section that stands there, where it is one.
    """

    name: str
    type: str
    default: str | None
    meaning: str
    section: str | None


@dataclass(frozen=True)
class RecipeSection:
    """One form of a section: a teacher in this process and one behind a server share a path.

    Args:
        path: from the top, ``rollout.server``; empty for the recipe itself. title: what it is. notes: what else.
        fields: in the order of writing.
    """

    path: str
    title: str
    notes: str
    fields: tuple[RecipeField, ...]


@cache
def sections() -> tuple[RecipeSection, ...]:
    """All sections from the top, each followed by those in it; a kind of section is told once, where it comes first."""
    places: dict[type[BaseModel], str] = {}
    _place(Recipe, "", places)
    return tuple(_section(kind, path, places) for kind, path in places.items())


def _place(kind: type[BaseModel], path: str, places: dict[type[BaseModel], str]) -> None:
    if kind in places:
        return
    places[kind] = path
    for name, field in named_fields(kind).items():
        for inner in _kinds(field):
            _place(inner, f"{path}.{name}".strip("."), places)


def _kinds(field: FieldInfo) -> list[type[BaseModel]]:
    """The kinds of section that may stand there; for a method, what all methods have in common."""
    found = sections_in(field.annotation)
    return [MethodConfig] if any(issubclass(kind, MethodConfig) for kind in found) else found


def _section(kind: type[BaseModel], path: str, places: Mapping[type[BaseModel], str]) -> RecipeSection:
    meanings = meanings_of(kind)
    title = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    fields = tuple(
        RecipeField(
            name=name,
            type=_type(field),
            default=_default(field),
            meaning=meanings.get(name, ""),
            section=next((places[inner] for inner in _kinds(field)), None),
        )
        for name, field in named_fields(kind).items()
    )
    return RecipeSection(path, " ".join(title.split()), notes_of(kind), fields)


def _type(field: FieldInfo) -> str:
    if not sections_in(field.annotation):
        return type_in_words(field)
    outer = {get_origin(part) for part in (field.annotation, *get_args(field.annotation))}
    word = "list of sections" if tuple in outer else "sections by name" if dict in outer else "section"
    return f"{word} or null" if NoneType in get_args(field.annotation) else word


def _default(field: FieldInfo) -> str | None:
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    return "{}" if isinstance(value, BaseModel) else json.dumps(to_jsonable_python(value), ensure_ascii=False)
