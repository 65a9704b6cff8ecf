"""What may stand at a dotted path of a recipe: which keys a section has, which field a path means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from understudy.objectives.fields import named_fields

Path = Sequence[str | int]


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like ``word``, letters in another order before other letters; None when none is alike.

    >>> nearest("learning_rat", ["learning_rate", "eps"]), nearest("odp", ["opd", "sod"])
    ('learning_rate', 'opd')
    """
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(word.lower(), by_lower, n=5, cutoff=0.6)

    def likeness(choice: str) -> tuple[float, bool]:
        ratio = difflib.SequenceMatcher(None, choice, word.lower()).ratio()
        return ratio, sorted(choice) == sorted(word.lower())

    return by_lower[max(found, key=likeness)] if found else None


def dotted(path: Path) -> str:
    """The path as overrides write it: ``evaluation.suites.0.name``."""
    return ".".join(str(part) for part in path)


def keys_at(model: type[BaseModel], path: Path, raw: object) -> list[str]:
    """Names of the fields of the section at ``path``; ``raw`` tells apart sections that share a place by ``method``."""
    return list(dict.fromkeys(name for found in _sections_at(model, path, raw) for name in named_fields(found)))


def field_at(model: type[BaseModel], path: Path, raw: object) -> FieldInfo | None:
    """The field that ``path`` means, or None where there is none."""
    if not path:
        return None
    for section in _sections_at(model, path[:-1], raw):
        if path[-1] in named_fields(section):
            return named_fields(section)[str(path[-1])]
    return None


def is_text(field: FieldInfo | None) -> bool:
    """Whether the field takes nothing but a string or null, so that an override needs no quotes."""
    return field is not None and _plain_types(field.annotation) <= {str, type(None)}


def has_child(raw: object, part: str | int) -> bool:
    """Whether plain data has something at this key or index."""
    if isinstance(raw, Mapping):
        return part in raw
    return isinstance(raw, list | tuple) and isinstance(part, int) and part < len(raw)


def child(raw: object, part: str | int) -> object:
    """What plain data has at this key or index; None where nothing is."""
    return raw[part] if has_child(raw, part) else None  # type: ignore[index]


def tags_in(annotation: Any) -> tuple[str, list[str]]:
    """The field, ``method`` or ``kind``, that tells apart the sections of the union ``annotation``, and its values."""
    sections = sections_in(annotation)
    name = next((name for name in ("method", "kind") if any(_tags_of(section, name) for section in sections)), "method")
    return name, [str(tag) for section in sections for tag in _tags_of(section, name)]


def _sections_at(model: type[BaseModel], path: Path, raw: object) -> list[type[BaseModel]]:
    sections, is_name = [model], False
    for part in path:
        raw = child(raw, part)
        if isinstance(part, int) or is_name:
            is_name = False
            continue
        fields = [named_fields(section)[part] for section in sections if part in named_fields(section)]
        sections = _meant([inner for field in fields for inner in sections_in(field.annotation)], raw)
        is_name = any(get_origin(field.annotation) is dict for field in fields)
    return sections


def _meant(sections: list[type[BaseModel]], raw: object) -> list[type[BaseModel]]:
    """The sections of one place that ``raw`` means: by method or kind, or the last one that needs a field it has."""
    if not isinstance(raw, dict) or len(sections) < 2:
        return sections
    by_tag = [s for name in ("method", "kind") for s in sections if raw.get(name) in _tags_of(s, name)]
    needed = [(s, {name for name, field in named_fields(s).items() if field.is_required()}) for s in sections]
    return by_tag or [section for section, names in needed if names & set(raw)][-1:] or sections


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The kinds of section that an annotation allows, in its order."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in sections_in(inner)]


def _tags_of(section: type[BaseModel], name: str) -> tuple[object, ...]:
    field = section.model_fields.get(name)
    return get_args(field.annotation) if field is not None else ()


def _plain_types(annotation: Any) -> set[object]:
    if get_origin(annotation) is Literal:
        return {str} if all(isinstance(value, str) for value in get_args(annotation)) else {object}
    if isinstance(annotation, type) and not get_args(annotation):
        return {annotation}
    if hasattr(annotation, "__metadata__"):
        return _plain_types(get_args(annotation)[0])
    return {kind for inner in get_args(annotation) for kind in _plain_types(inner)} or {object}
