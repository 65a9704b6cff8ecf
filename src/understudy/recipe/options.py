"""The options of a multiple-choice question."""

from __future__ import annotations

from pydantic import Field, model_validator

from understudy.recipe.section import Section, Text, Whole

SHOWN = "lettered_options"
"""Column that is added to a row: its options, one a line, each with its letter."""

LETTER = "letter"
"""Column that is added to a row: the letter of the right option."""


class Options(Section):
    """Where the options of a question stand; a row gains the columns ``lettered_options`` and ``letter``.

    Args:
        column: holds the list of options; the section's ``answer`` column says which is right, by its number from 0 or
            by its letter.
        columns: hold one option each, the right one in the first of them.
        shuffle: draw the order of each question from ``seed`` and the question's text, so that a question has the same
            order wherever it stands. seed: of that order.
    """

    column: Text | None = None
    columns: tuple[Text, ...] = ()
    shuffle: bool = True
    seed: Whole = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _has_one_form(self) -> Options:
        if (self.column is None) == (not self.columns):
            raise ValueError("options have either column, a list of options, or columns, one option each")
        if len(self.columns) == 1:
            raise ValueError("a question has at least two options")
        return self
