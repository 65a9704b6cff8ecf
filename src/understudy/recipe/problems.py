"""Turns pydantic's findings into one short sentence that names field, value, what is allowed, and the nearest name."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from understudy.errors import RecipeError
from understudy.objectives.fields import bounds_in_words
from understudy.recipe.elsewhere import belongs
from understudy.recipe.outline import child, dotted, field_at, has_child, keys_at, nearest, tags_in

_LOGIN = re.compile(r"(?<=://)[^\s/@]+(?=@)|(?<=[?&])[^\s'\"]+")
"""Where keys stand in an address: a message that repeats a mistake leaves them out."""

_KINDS = {
    "string_type": "a string",
    "string_too_short": "a string that is not empty",
    "string_pattern_mismatch": "a name without slashes or a leading dot",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe; fields as in ``UnderstudyError``."""

    path: tuple[str | int, ...]
    what: str
    got: str | None = None
    expected: str | None = None
    remedy: str | None = None


def recipe_error(error: ValidationError, model: type[BaseModel], raw: object, *, source: str) -> RecipeError:
    """The error to raise for pydantic's ``error``.

    Args:
        error: what validating ``raw`` as ``model`` raised. source: the recipe's file, for the message.
    """
    problems = problems_of(error, model, raw)
    first, others = problems[0], problems[1:]
    notes = [first.remedy] if first.remedy else []
    if others:
        notes.append("Also wrong: " + ", ".join(dotted(problem.path) or problem.what for problem in others[:5]) + ".")
    return RecipeError(
        f"{source}: {first.what}", got=first.got, expected=first.expected, remedy=" ".join(notes) or None
    )


def problems_of(error: ValidationError, model: type[BaseModel], raw: object) -> list[Problem]:
    """One problem a place, misspelt keys first; a key that is missing because it is misspelt is told once."""
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    found: dict[tuple[str | int, ...], Problem] = {}
    suggested: set[tuple[str | int, ...]] = set()
    for detail in details:
        path = _path_in(raw, detail)
        if detail["type"] == "extra_forbidden":
            problem, right = _unknown_key(path, model, raw)
            suggested.update([(*path[:-1], right)] if right else [])
        else:
            problem = _problem(path, detail, model, raw)
        if problem.path not in suggested:
            found.setdefault(problem.path, problem)
    return list(found.values())


def _path_in(raw: object, detail: ErrorDetails) -> tuple[str | int, ...]:
    """The error's location without the union tags that pydantic puts between."""
    path: list[str | int] = []
    loc = detail["loc"]
    for index, part in enumerate(loc):
        is_absent_key = detail["type"] == "missing" and index == len(loc) - 1
        if has_child(raw, part) or is_absent_key:
            raw = child(raw, part)
            path.append(part)
    return tuple(path)


def _unknown_key(path: tuple[str | int, ...], model: type[BaseModel], raw: object) -> tuple[Problem, str | None]:
    allowed = keys_at(model, path[:-1], raw)
    right = nearest(str(path[-1]), [name for name in allowed if name != path[-1]])
    where = f"section {dotted(path[:-1])}" if path[:-1] else "a recipe"
    expected = "one of " + ", ".join(allowed)
    meant = dotted((*path[:-1], right)) if right else belongs(path)
    remedy = f"Did you mean {meant}?" if meant else None
    return Problem(path, f"{where} has no field {path[-1]!r}", expected=expected, remedy=remedy), right


def _problem(path: tuple[str | int, ...], detail: ErrorDetails, model: type[BaseModel], raw: object) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        allowed = keys_at(model, path, raw)
        expected = f"a section with {', '.join(allowed)}" if allowed else None
        return Problem(path, f"field {dotted(path)} is missing", expected=expected)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _tag_problem(path, kind, context, model, raw)
    if kind == "value_error" and isinstance(detail["input"], dict | BaseModel):
        return Problem(path, str(context["error"]))
    expected = _expected(detail, path, model, raw)
    return Problem(
        path, f"{dotted(path) or 'the recipe'} cannot be used", got=_short(detail["input"]), expected=expected
    )


def _tag_problem(
    path: tuple[str | int, ...], kind: str, context: dict[str, Any], model: type[BaseModel], raw: object
) -> Problem:
    field = field_at(model, path, raw)
    tag, names = tags_in(field.annotation) if field else ("method", [])
    place, expected = (*path, tag), "one of " + ", ".join(names)
    if kind == "union_tag_not_found":
        return Problem(place, f"field {dotted(place)} is missing", expected=expected)
    right = nearest(str(context["tag"]), names)
    remedy = f"Did you mean {right}?" if right else None
    return Problem(
        place, f"{dotted(place)} cannot be used", got=_short(context["tag"]), expected=expected, remedy=remedy
    )


def _expected(detail: ErrorDetails, path: Sequence[str | int], model: type[BaseModel], raw: object) -> str:
    kind, message = detail["type"], detail["msg"]
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind in ("model_type", "model_attributes_type"):
        field = field_at(model, path, raw)
        tag, names = tags_in(field.annotation) if field else ("", [])
        if tag == "method" and names:  # the fields of all methods together are no help
            return f"the name of a method, or a section with {tag}: {', '.join(names)}"
        return f"a section with {', '.join(keys_at(model, path, raw))}"
    bounds = bounds_in_words(field_at(model, path, raw))
    if kind in _KINDS:
        return f"{_KINDS[kind]}, {bounds}" if bounds else _KINDS[kind]
    return bounds or message.removeprefix("Input should be ").removeprefix("Input should ").removeprefix(
        "Value error, "
    )


def _short(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 80
    return shortener.repr(_without_logins(value))


def _without_logins(value: object) -> object:
    if isinstance(value, str):
        return _LOGIN.sub("(removed)", value)
    if isinstance(value, dict):
        return {key: _without_logins(each) for key, each in value.items()}
    return [_without_logins(each) for each in value] if isinstance(value, list) else value
