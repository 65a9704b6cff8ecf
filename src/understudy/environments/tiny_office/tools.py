"""What an agent of the tiny office can do to files, over any workspace."""

from __future__ import annotations

from dataclasses import replace

from understudy.environments.tiny_office.documents import (
    DATE,
    OVER,
    SIGN,
    TOTAL,
    Document,
    Row,
    count_formula,
    total_formula,
)
from understudy.environments.tiny_office.errands import THINGS
from understudy.environments.tiny_office.files import MONTHS
from understudy.environments.tiny_office.workspaces import Workspace

DESK = ""
"""Nothing is open; the names of the files are seen."""
_DAYS = tuple(map(str, range(1, 29)))
"""Every month has them."""
_LONGEST = 12


def act(workspace: Workspace, opened: str, words: list[str]) -> str | None:
    """Do one action; the name of what is open then, or None where nothing could be done.

    ``open F``, ``copy F G`` and ``note F THING NUMBER`` open a file, ``move F G`` goes back to the desk; all others
    change the open file: ``total``, ``count over N``, ``put total N``, ``put over N M`` (typed figures), ``sort
    up|down``, ``mark THING``, ``fill THING NUMBER``, ``date MONTH DAY``, ``sign NAME``.
    """
    names = workspace.names()
    match words:
        case ["open", name] if name in names:
            return name
        case ["copy", name, new] if name in names and name != new and _is_name(new):
            workspace.write(new, workspace.read(name))
            return new
        case ["move", name, new] if name in names and new not in names and _is_name(new):
            workspace.write(new, workspace.read(name))
            workspace.remove(name)
            return DESK
        case ["note", name, thing, number] if _is_name(name) and thing in THINGS and _is_number(number):
            workspace.write(name, Document("note").with_line(thing, int(number)))
            return name
    if opened == DESK:
        return None
    changed = _changed(workspace.read(opened), words)
    if changed is None:
        return None
    workspace.write(opened, changed)
    return opened


def _changed(document: Document, words: list[str]) -> Document | None:
    match words:
        case ["date", month, day] if month in MONTHS and day in _DAYS:
            return document.with_line(DATE, f"{month} {day}")
        case ["sign", name] if name.isalpha():
            return document.with_line(SIGN, name)
    return _calculated(document, words) if document.kind == "sheet" else None


def _calculated(document: Document, words: list[str]) -> Document | None:
    match words:
        case ["total"]:
            return document.with_line(TOTAL, total_formula(document))
        case ["count", "over", bound] if _is_number(bound):
            return document.with_line(f"{OVER} {bound}", count_formula(document, int(bound)))
        case ["put", "total", number] if _is_number(number):
            return document.with_line(TOTAL, int(number))
        case ["put", "over", bound, number] if _is_number(bound) and _is_number(number):
            return document.with_line(f"{OVER} {bound}", int(number))
        case ["sort", "up" | "down" as direction]:
            return replace(document, rows=_sorted(document.rows, down=direction == "down"))
        case ["mark", thing] if thing in document.values:
            return document.with_rows(lambda row: replace(row, marked=row.thing == thing))
        case ["fill", thing, number] if thing in document.values and _is_number(number):
            return document.with_rows(lambda row: replace(row, value=int(number)) if row.thing == thing else row)
    return None


def _is_name(word: str) -> bool:
    """A plain word, never a path."""
    return word.isascii() and word.isalpha() and len(word) <= _LONGEST


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= _LONGEST


def _sorted(rows: tuple[Row, ...], *, down: bool) -> tuple[Row, ...]:
    """By the figures; empty cells at the end, equal ones in the order in which they stood."""
    known = [row for row in rows if row.value is not None]
    known.sort(key=lambda row: row.value or 0, reverse=down)
    return (*known, *(row for row in rows if row.value is None))
