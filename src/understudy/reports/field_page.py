"""The page of a recipe's fields, written from their docstrings and defaults, so that it cannot say what is not so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from understudy.errors import RecipeError, UnderstudyError
from understudy.recipe.outline import nearest
from understudy.recipe.sections import RecipeField, RecipeSection, sections
from understudy.reports.docstring_text import wrapped

_NOTICE = "<!-- Written by `make docs` from the recipe's own words. What is changed here is lost. -->"
_METHOD = (
    "The method of the run and its fields. All methods have these; each has its own beside them: "
    "`understudy methods NAME`, or [its page](methods/reference/README.md)."
)


def fields_page() -> str:
    """Every section and field of a recipe, as ``docs/fields.md`` has it."""
    about = (
        "What may stand in a recipe, section by section: `name` = default (what it takes): meaning. A field without a "
        "default must be given. `understudy fields rollout` prints one section, `understudy fields "
        "rollout.temperature` one field, and `understudy train RECIPE.yaml --print-recipe` what a recipe comes to."
    )
    head = [_NOTICE, "# Every field of a recipe", "", wrapped(about), ""]
    return "\n".join([*head, *map(_told, sections())]).rstrip() + "\n"


def section_text(path: str) -> str:
    """The forms of the section at ``path`` with their fields, or the one field that it names; plain text too.

    Raises:
        RecipeError: a recipe has nothing there; the message names the nearest.
    """
    parts = [part for part in path.split(".") if not part.isdigit()]
    path = ".".join(parts)
    found = [one for one in sections() if one.path == path]
    if found:
        return "\n".join(map(_told, found)).rstrip()
    place, _, name = path.rpartition(".")
    fields = [_line(field) for one in sections() if one.path == place for field in one.fields if field.name == name]
    if not fields:
        raise _nothing_at(path, place)
    return "\n".join(dict.fromkeys(fields))


def write_fields_page(file: Path) -> None:
    """Write ``fields_page`` to a file.

    Raises:
        UnderstudyError: it cannot be written.
    """
    try:
        file.write_text(fields_page(), encoding="utf-8", newline="\n")
    except OSError as error:
        raise UnderstudyError(
            f"{file} cannot be written", got=error.strerror or error, remedy="Choose another file."
        ) from error


def table_rows() -> list[list[str]]:
    """A row a section: its path, what it is, and the names of its fields."""
    rows: dict[str, list[str]] = {}
    for one in sections():
        names = ", ".join(field.name for field in one.fields)
        rows.setdefault(
            one.path, [one.path or "(the recipe)", _title(one).partition(". ")[0].rstrip(".").replace("``", ""), names]
        )
    return list(rows.values())


def _nothing_at(path: str, place: str) -> RecipeError:
    known = _names([one for one in sections() if one.path == place])
    everywhere = [f"{one.path}.{field.name}".strip(".") for one in sections() for field in one.fields]
    same = [each for each in everywhere if each.rpartition(".")[2] == path.rpartition(".")[2]]
    right = nearest(path, known) or next(iter(same), None) or nearest(path, everywhere)
    return RecipeError(
        "a recipe has no such field",
        got=repr(path),
        expected="a section or a field, such as rollout or rollout.temperature",
        remedy=f"Did you mean {right}?" if right else "understudy fields lists the sections.",
    )


def _names(found: Sequence[RecipeSection]) -> list[str]:
    return [f"{one.path}.{field.name}".strip(".") for one in found for field in one.fields]


def _title(one: RecipeSection) -> str:
    return _METHOD if one.path == "objective" else one.title


def _heading(one: RecipeSection) -> str:
    """The path; where several forms share it, with the field that makes it this form, as a recipe would begin it."""
    forms = [other for other in sections() if other.path == one.path]
    if len(forms) == 1:
        return f"## {one.path}" if one.path else "## The recipe"
    first = one.fields[0]
    kind = first.default.strip('"') if first.default is not None and first.name == "kind" else "..."
    return f"## {one.path}: {{{first.name}: {kind}}}"


def _told(one: RecipeSection) -> str:
    heading = _heading(one)
    notes = [wrapped(one.notes), ""] if one.notes else []
    return "\n".join([heading, "", wrapped(_title(one)), "", *notes, *map(_line, one.fields), ""])


def _line(field: RecipeField) -> str:
    default = "" if field.default is None else f" = `{field.default}`"
    word, null, _ = field.type.partition(" or null")
    kind = f"{word} `{field.section}`{null}" if field.section else field.type
    return wrapped(f"* `{field.name}`{default} ({kind}): {field.meaning}", indent="  ")
