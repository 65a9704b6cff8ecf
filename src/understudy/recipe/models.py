"""The student that learns and the reference that anchors it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from understudy.recipe.section import Number, Section, Text, Whole
from understudy.recipe.servers import ServedModel

Dtype = Literal["float32", "bfloat16"]


class Lora(Section):
    """Low-rank adapters in place of full training.

    Args:
        rank: inner width of each adapter. alpha: scale numerator; null means twice the rank.
        dropout: on the adapters' input. target_modules: one name, a list, or ``all-linear``, as in PEFT.
    """

    rank: Whole = Field(default=32, ge=1)
    alpha: Number | None = Field(default=None, gt=0)
    dropout: Number = Field(default=0.0, ge=0, lt=1)
    target_modules: Text | tuple[Text, ...] = "all-linear"

    @property
    def resolved_alpha(self) -> float:
        """``alpha``, or twice the rank where none is given."""
        return 2.0 * self.rank if self.alpha is None else self.alpha


class Student(Section):
    """The model that learns.

    Args:
        model: a folder, a hub name, or ``testbed/...``. tokenizer: the same, where it is not the model's own.
        lora: adapters; null trains every weight. dtype: of the weights and matrix products.
        trust_remote_code: run Python code that comes with the model.
        ema_decay: keep an exponential average of the weights with this decay an update.
        chat_template_kwargs: passed to the chat template.
    """

    model: Text
    tokenizer: Text | None = None
    lora: Lora | None = None
    dtype: Dtype = "float32"
    trust_remote_code: bool = False
    ema_decay: Number | None = Field(default=None, ge=0, lt=1)
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)


class Reference(Section):
    """The model that anchors the student.

    Args:
        model: a folder or a hub name; ``initial`` is the student as it was before step 0.
        dtype: of the weights and matrix products. trust_remote_code: run Python code that comes with the model.
    """

    model: Text = "initial"
    dtype: Dtype = "float32"
    trust_remote_code: bool = False


def _reference_of(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


def _place_of(value: object) -> str:
    served = "server" in value if isinstance(value, Mapping) else isinstance(value, ServedModel)
    return "served" if served else "here"


ReferenceField = Annotated[
    Annotated[Reference, Tag("here")] | Annotated[ServedModel, Tag("served")],
    Discriminator(_place_of),
    BeforeValidator(_reference_of),
]
"""A ``Reference``, for which the name of its model may stand, or a model behind a ``server``."""
