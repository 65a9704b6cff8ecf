"""Prompt templates: text with ``{column}`` in it, and nothing else that could be evaluated."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

from understudy.errors import DataError, RecipeError
from understudy.recipe.outline import nearest


class MissingValueError(DataError):
    """A row has no such column, or nothing in it.

    Args:
        column: its name. The others are as in ``UnderstudyError``.
    """

    def __init__(
        self, what: str, *, column: str, got: object = None, expected: object = None, remedy: str | None = None
    ) -> None:
        super().__init__(what, got=got, expected=expected, remedy=remedy)
        self.column = column


@dataclass(frozen=True)
class Template:
    """Literal text and column names in turn.

    Args:
        pieces: (literal text, name of the column after it or None at the end) pairs.
    """

    pieces: tuple[tuple[str, str | None], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, in order."""
        return tuple(name for _, name in self.pieces if name is not None)

    def render(self, columns: Mapping[str, object]) -> str:
        """The text with each column's value in its place; braces inside values stay as they are.

        Raises:
            DataError: a column does not exist, or holds neither text nor a number.
        """
        return "".join(text + ("" if name is None else text_of(columns, name)) for text, name in self.pieces)


def parse_template(text: str, *, field: str) -> Template:
    """The template that ``text`` writes; doubled braces stand for themselves.

    Args:
        text: such as ``"Q: {question} A:"``. field: the recipe's field it comes from, for messages.
    Raises:
        RecipeError: a stray brace, an attribute, index or format after a name, or no column at all.

    >>> parse_template("{a} in {{braces}}", field="data.prompt").render({"a": 1})
    '1 in {braces}'
    """
    double = "Write {{ and }} for braces that are text."
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise RecipeError(f"{field} is no template: {error}", got=repr(text), remedy=double) from error
    for _, name, spec, conversion in parsed:
        if name is not None and (not name.strip() or spec or conversion or set(name) & set(".[]{}")):
            suffix = (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise RecipeError(
                f"{field} is no template", got=f"{{{name}{suffix}}}", expected="a plain {column}", remedy=double
            )
    template = Template(tuple((literal, name) for literal, name, _, _ in parsed))
    if not template.columns:
        raise RecipeError(f"{field} names no column", got=repr(text), expected="a template such as '{question}'")
    return template


def text_of(columns: Mapping[str, object], name: str) -> str:
    """The column's value as text.

    Raises:
        DataError: the column does not exist, or holds neither text nor a number.
    """
    if name not in columns:
        raise missing_column(name, columns)
    value = columns[name]
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    what, expected = f"column {name!r} is no text", "text or a number"
    if value is None:
        raise MissingValueError(what, column=name, got="None", expected=expected)
    raise DataError(what, got=repr(value)[:80], expected=expected)


def missing_column(name: str, columns: Mapping[str, object]) -> MissingValueError:
    """The error for a column that a row lacks: which columns there are, and which is meant."""
    right = nearest(name, columns)
    return MissingValueError(
        f"no column {name!r}",
        column=name,
        expected="one of " + ", ".join(columns) if columns else None,
        remedy=f"Did you mean {right!r}?" if right else None,
    )
