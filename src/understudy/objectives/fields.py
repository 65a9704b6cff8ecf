"""The fields of a method's configuration as data: what each takes, its default, what it means, and who chose it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

_BOUNDS = {"gt": "greater than", "ge": "at least", "lt": "less than", "le": "at most"}
_OURS = re.compile(r"\bour (?:choice|default)|\bours\b", re.IGNORECASE)
_PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text"}


@dataclass(frozen=True)
class FieldEntry:
    """A field of a method's configuration.

    Args:
        name: in a recipe. type: what it takes, in words. default: as plain data.
        meaning: what the configuration's docstring says of it.
        ours: that docstring calls the default, or the field, our choice and not the source's.
    """

    name: str
    type: str
    default: object
    meaning: str
    ours: bool


def fields_of(config: type[BaseModel]) -> list[FieldEntry]:
    """The fields of a configuration in the order of writing, its own before those that all configurations have.

    The constant field ``method`` is left out.
    """
    meanings = meanings_of(config)
    fields = {name: field for name, field in named_fields(config).items() if name != "method"}
    common = _configurations(config)[-1].model_fields
    return [
        FieldEntry(
            name=name,
            type=type_in_words(fields[name]),
            default=to_jsonable_python(fields[name].get_default(call_default_factory=True)),
            meaning=meanings.get(name, ""),
            ours=bool(_OURS.search(meanings.get(name, ""))),
        )
        for name in sorted(fields, key=common.__contains__)
    ]


def named_fields(config: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields of a section by their names in a recipe, where a name may be one that Python keeps for itself."""
    return {field.alias or name: field for name, field in config.model_fields.items()}


def notes_of(config: type[BaseModel]) -> str:
    """What the docstrings of a configuration and its bases say between their first paragraph and their ``Args``."""
    paragraphs: list[str] = []
    for base in _configurations(config)[:-1]:
        paragraphs += re.split(r"^Args:$", _docstring(base), flags=re.MULTILINE)[0].strip().split("\n\n")[1:]
    return "\n\n".join(paragraphs)


def meanings_of(config: type[BaseModel]) -> Mapping[str, str]:
    """What the ``Args`` of a configuration's docstring, and those of its bases, say of each field."""
    meanings: dict[str, str] = {}
    for base in reversed(_configurations(config)):
        meanings |= _arguments(_docstring(base), named_fields(config))
    return meanings


def bounds_in_words(field: FieldInfo | None) -> str:
    """The constraints of a field: ``greater than 0 and at most 10``; empty where there are none."""
    return _bounds(field.metadata if field else ())


def type_in_words(field: FieldInfo) -> str:
    """What a field takes: ``number, at least 0``.

    >>> class Example(BaseModel):
    ...     share: float | None = None
    ...     ends: Literal["left", "right"] = "left"
    >>> [type_in_words(field) for field in Example.model_fields.values()]
    ['number or null', '`left` or `right`']
    """
    bounds = bounds_in_words(field)
    words = _type(field.annotation)
    return f"{words}, {bounds}" if bounds else words


def _configurations(config: type[BaseModel]) -> list[type[BaseModel]]:
    """The configuration and its bases, the one that all share last."""
    return [base for base in config.__mro__ if issubclass(base, BaseModel) and base is not BaseModel]


def _docstring(config: type[BaseModel]) -> str:
    return inspect.cleandoc(vars(config).get("__doc__") or "")


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return _listed(f"`{value}`" for value in inner)
    if origin is Annotated:
        bounds = _bounds(part for extra in inner[1:] for part in getattr(extra, "metadata", [extra]))
        return f"{_type(inner[0])}, {bounds}" if bounds else _type(inner[0])
    if origin in (Union, UnionType):
        return _listed("null" if part is NoneType else _type(part) for part in inner)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"mapping of {_type(inner[0])} to {_type(inner[1])}"
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return f"list of {_type(inner[0])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section with " + ", ".join(f"`{name}`" for name in annotation.model_fields)
    return _PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(metadata: Iterable[object]) -> str:
    parts = list(metadata)
    found = [
        f"{words} {getattr(part, name)}"
        for name, words in _BOUNDS.items()
        for part in parts
        if getattr(part, name, None) is not None
    ]
    return " and ".join(found)


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _arguments(text: str, names: Iterable[str]) -> dict[str, str]:
    """Field -> its sentences, from the ``Args`` of a docstring; several fields may share a line, or a description."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", text, re.DOTALL | re.MULTILINE)
    if section is None:
        return {}
    joined = " ".join(section.group(1).split())
    name = "(?:" + "|".join(map(re.escape, sorted(names, key=len, reverse=True))) + ")"
    pieces = re.split(rf"(?:^|(?<=\. )|(?<=\) ))({name}(?:, {name})*): ", joined)
    return {one: pieces[i + 1].strip() for i in range(1, len(pieces), 2) for one in pieces[i].split(", ")}
