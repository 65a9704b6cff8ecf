"""What is read of a configuration's fields: types and bounds in words, meanings from docstrings, and whose choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from understudy.objectives.fields import fields_of, meanings_of, notes_of, type_in_words
from understudy.objectives.methods import METHODS


class Parent(BaseModel):
    """A parent.

    Args:
        method: its name. share: of the prompts (all of them: 1). until: the last step that
            it lasts.
    """

    method: str = "parent"
    share: float = Field(default=1.0, ge=0, le=1)
    until: int | None = None


class Child(Parent):
    """A child.

    It has
    two notes.

    This is the second.

    Args:
        share: half of them, our choice. low, high: the bounds of the ratio. kind: what happens outside:
            ``mask`` drops it.

    Raises:
        Nothing: at all.
    """

    low: float = Field(default=0.8, gt=0)
    high: float = 1.2
    share: float = Field(default=0.5, ge=0, le=1)
    kind: Literal["mask", "clip"] = "mask"
    weights: Mapping[str, float] = Field(default_factory=dict)
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], ...] = (0.9,)


def test_fields_share_lines_and_descriptions_and_a_child_has_the_last_word():
    assert meanings_of(Child) == {
        "method": "its name.",
        "until": "the last step that it lasts.",
        "share": "half of them, our choice.",
        "low": "the bounds of the ratio.",
        "high": "the bounds of the ratio.",
        "kind": "what happens outside: ``mask`` drops it.",
    }


def test_own_fields_come_first_and_the_constant_name_is_left_out():
    assert [field.name for field in fields_of(Child)] == ["low", "high", "kind", "weights", "betas", "share", "until"]
    assert [field.default for field in fields_of(Child)] == [0.8, 1.2, "mask", {}, [0.9], 0.5, None]


def test_a_field_has_its_name_in_a_recipe():
    class Extrapolated(BaseModel):
        """Past the teacher.

        Args:
            lambda: how far.
        """

        lambda_: float = Field(default=1.25, alias="lambda")

    (field,) = fields_of(Extrapolated)
    assert (field.name, field.default, field.meaning) == ("lambda", 1.25, "how far.")


def test_notes_stand_between_the_title_and_the_arguments():
    class Grandchild(Child):
        """A grandchild, which adds nothing."""

    assert notes_of(Child) == notes_of(Grandchild) == "It has\ntwo notes.\n\nThis is the second."
    assert notes_of(Parent) == ""


def test_only_what_the_docstring_calls_ours_is_ours():
    assert [field.name for field in fields_of(Child) if field.ours] == ["share"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("low", "number, greater than 0"),
        ("share", "number, at least 0 and at most 1"),
        ("kind", "`mask` or `clip`"),
        ("until", "whole number or null"),
        ("weights", "mapping of text to number"),
        ("betas", "list of number, at least 0 and less than 1"),
    ],
)
def test_types_in_words(name: str, words: str):
    assert type_in_words(Child.model_fields[name]) == words


@pytest.mark.parametrize("config", list(METHODS), ids=lambda c: c.__name__)
def test_every_field_of_every_method_is_explained(config):
    assert not [field.name for field in fields_of(config) if len(field.meaning) < 8]
