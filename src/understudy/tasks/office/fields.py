"""Fields of task files, asked for by name; what is missing or of the wrong kind is said with the file's name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from understudy.errors import DataError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def json_of(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file; raises DataError where there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read", got=str(error)) from error
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no object", got=type(found).__name__)
    return found


def text_of(record: Mapping[str, Any], name: str, *, where: str) -> str:
    """A text that is not empty; raises DataError without it."""
    value = record.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{where} has no {name}", got=repr(value), expected=f"`{name}` as text")
    return value


def list_of(record: Mapping[str, Any], name: str, *, where: str) -> list[Any]:
    """A list, empty where the field is missing or null; raises DataError where it is something else."""
    value = record.get(name)
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise DataError(f"{where} has no list {name}", got=repr(value)[:120], expected=f"`{name}` as a list")
    return list(value)


def folder_name(text: str) -> str:
    """An identifier that can be the name of a folder.

    >>> folder_name("1-1/0"), folder_name("../x y")
    ('1-1-0', 'x-y')
    """
    return _UNSAFE.sub("-", text).strip("-.")[:120] or "task"


def place_of(text: object, *, where: str) -> PurePosixPath:
    """A place within a workspace; raises DataError where it leads out of it."""
    place = PurePosixPath(str(text).replace("\\", "/"))
    if not isinstance(text, str) or not text.strip() or place.is_absolute() or ".." in place.parts:
        raise DataError(f"{where} names a file outside its workspace", got=repr(text), expected="a relative path")
    return place
