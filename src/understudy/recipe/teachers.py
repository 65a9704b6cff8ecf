"""The teacher of a run: one model, the student itself, several by route, or a mixture; and what it is told."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from understudy.recipe.models import Dtype
from understudy.recipe.section import Number, Section, Text
from understudy.recipe.servers import ServedModel
from understudy.recipe.stored_scores import StoredScores

SELF = "self"
"""The name of the student as its own teacher."""

_TEMPLATES = {
    "solution": "{prompt}\n\nA correct solution of this task is:\n\n{text}\n\nNow give your own solution of the task.",
    "demonstration": "{prompt}\n\nAn example of a good answer is:\n\n{text}\n\nNow answer in your own words.",
    "peers": "{prompt}\n\nAn earlier attempt that succeeded is:\n\n{text}\n\nNow solve the task correctly.",
    "feedback": "{prompt}\n\nFeedback on an earlier attempt is:\n\n{text}\n\nNow solve the task correctly.",
}
_COLUMNS = {"solution": "solution", "feedback": "feedback"}


class View(Section):
    """What a teacher is told beyond the prompt; it then reads the student's completion unchanged.

    Args:
        kind: ``solution``: a column of the data. ``demonstration``: the data's gold completion. ``peers``: what another
            rollout of the group said that succeeded, without its thinking. ``feedback``: what the environment or the
            data says of the attempt, from a column. ``system``: a text, as system message or before the prompt.
        column: of ``solution`` and ``feedback``; null takes the kind's name. text: of ``system``.
        template: how ``{text}`` is put to ``{prompt}``, a text prompt or the last message of the user; null takes the
            kind's own (our choice).
        success: a peer's least reward where nothing decides whether it is correct (SDPO's 0.5).
    """

    kind: Literal["solution", "demonstration", "peers", "feedback", "system"]
    column: Text | None = None
    text: Text | None = None
    template: Text | None = None
    success: Number = 0.5

    @property
    def resolved_column(self) -> str:
        """``column``, or the kind's own."""
        return self.column or _COLUMNS[self.kind]

    @property
    def resolved_template(self) -> str:
        """``template``, or the kind's own."""
        return self.template or _TEMPLATES[self.kind]

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> View:
        if self.column is not None and self.kind not in _COLUMNS:
            raise ValueError(f"a view of kind {self.kind!r} reads no column; take the field 'column' out")
        if (self.text is not None) != (self.kind == "system"):
            needs = "needs the field 'text'" if self.kind == "system" else "has no field 'text'; only 'system' has"
            raise ValueError(f"a view of kind {self.kind!r} {needs}")
        if self.template is not None and self.kind == "system":
            raise ValueError("a view of kind 'system' has no template; its text stands before the prompt")
        if self.template is not None and _names_in(self.template) != {"prompt", "text"}:
            raise ValueError(f"the template of a view must name {{prompt}} and {{text}} and no more: {self.template!r}")
        return self


def _names_in(template: str) -> set[str]:
    """Names in braces; a template that cannot be read has none."""
    try:
        return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError:
        return set()


def _listed(value: object) -> object:
    """Several views from one, and each from the name of its kind."""
    if isinstance(value, str | Mapping | View):
        value = [value]
    return [{"kind": one} if isinstance(one, str) else one for one in value] if isinstance(value, list) else value


Views = Annotated[tuple[View, ...], BeforeValidator(_listed)]
"""Views, for which one may stand, and for each the name of its kind."""


class Teacher(Section):
    """A model that marks the student's tokens.

    Args:
        model: a folder, a hub name, ``testbed/...``, or ``self``, the student. dtype, trust_remote_code: as in
            ``Student``; the student's own where the model is ``self``.
        weights: of ``self``: ``live`` (where null), ``initial`` or ``ema``.
        view: what it is told beyond the prompt, one or several; none reads what the student reads.
        cache: remember scores, for text that comes again.
        align: it may have another tokenizer: it reads the same text in its own tokens and template, and its
            log-probs are brought to the student's tokens by their bytes; ``auto`` only where tokenizers differ.
    """

    model: Text
    dtype: Dtype = "float32"
    trust_remote_code: bool = False
    weights: Literal["live", "initial", "ema"] | None = None
    view: Views = ()
    cache: bool = False
    align: bool | Literal["auto"] = False

    @property
    def is_self(self) -> bool:
        """Whether the student is its own teacher."""
        return self.model == SELF

    @property
    def weights_key(self) -> tuple[str, str, bool]:
        """Equal for teachers that are the same weights in the same precision."""
        return self.model, self.dtype, self.trust_remote_code

    @property
    def resolved_weights(self) -> Literal["live", "initial", "ema"]:
        """``weights``, or the live ones."""
        return self.weights or "live"

    @property
    def members(self) -> dict[str, Teacher | ServedTeacher]:
        """The models behind it, by the name they have in messages and tables."""
        return {"teacher": self}

    @model_validator(mode="after")
    def _weights_are_its_own(self) -> Teacher:
        if self.weights is not None and not self.is_self:
            raise ValueError(f"weights {self.weights!r} are the student's; they need model: self, not {self.model!r}")
        if self.align and self.is_self:
            raise ValueError("align is for a teacher with another tokenizer; the student itself has its own")
        if self.cache and self.is_self and self.resolved_weights != "initial":
            raise ValueError(
                f"cache remembers nothing of a teacher with {self.resolved_weights} weights, which every step changes; "
                "take it out, or use weights: initial"
            )
        return self


class ServedTeacher(ServedModel):
    """A teacher behind a server.

    Args:
        view, cache: as in ``Teacher``. align: as there; the server's tokenizer is read from ``tokenizer``.
    """

    view: Views = ()
    cache: bool = False
    align: bool | Literal["auto"] = False

    @model_validator(mode="after")
    def _aligned_tokenizer_is_known(self) -> ServedTeacher:
        if self.align and self.tokenizer is None:
            raise ValueError("align needs the server's tokenizer here: name its folder in the field 'tokenizer'")
        return self

    @property
    def members(self) -> dict[str, Teacher | ServedTeacher]:
        """The models behind it, by the name they have in messages and tables."""
        return {"teacher": self}


def _place_of(value: object) -> str:
    served = "server" in value if isinstance(value, Mapping) else isinstance(value, ServedModel)
    return "served" if served else "here"


OneTeacher = Annotated[
    Annotated[Teacher, Tag("here")] | Annotated[ServedTeacher, Tag("served")], Discriminator(_place_of)
]
"""A teacher in this process or behind a server, told apart by ``server``."""


class RoutedTeachers(Section):
    """Several teachers, each for its own part of the problems.

    Args:
        routes: teachers by route. by: what names a problem's route: ``domain``, the name of its data set, or a column.
    """

    routes: dict[Text, OneTeacher] = Field(min_length=1)
    by: Text = "domain"

    @property
    def members(self) -> dict[str, Teacher | ServedTeacher]:
        """The models behind it, by the name they have in messages and tables."""
        return {f"teacher/{route}": teacher for route, teacher in self.routes.items()}


class MixturePart(Teacher):
    """A teacher and its part of a mixture.

    Args:
        weight: of its probabilities; the weights of all parts sum to 1.
    """

    weight: Number = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _reads_what_the_others_read(self) -> MixturePart:
        _check_part(self)
        return self


class ServedPart(ServedTeacher):
    """A teacher behind a server and its part of a mixture.

    Args:
        weight: as in ``MixturePart``.
    """

    weight: Number = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _reads_what_the_others_read(self) -> ServedPart:
        _check_part(self)
        return self


def _check_part(part: MixturePart | ServedPart) -> None:
    if part.view:
        raise ValueError("the teachers of a mixture read one text: a part has no view of its own")
    if part.align:
        raise ValueError("the teachers of a mixture have one vocabulary: a part cannot be aligned")


OnePart = Annotated[
    Annotated[MixturePart, Tag("here")] | Annotated[ServedPart, Tag("served")], Discriminator(_place_of)
]
"""A part of a mixture in this process or behind a server, told apart by ``server``."""


class MixedTeachers(Section):
    """Several teachers as one: the weighted mean of their probabilities.

    Args:
        mixture: the teachers with their weights. view: as in ``Teacher``, one for all of them.
    """

    mixture: tuple[OnePart, ...] = Field(min_length=1)
    view: Views = ()

    @property
    def members(self) -> dict[str, Teacher | ServedTeacher]:
        """The models behind it, by the name they have in messages and tables."""
        return {f"teacher/{number}": part for number, part in enumerate(self.mixture)}

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> MixedTeachers:
        total = math.fsum(part.weight for part in self.mixture)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the weights of teacher.mixture sum to {total:g}; they must sum to 1")
        return self


AnyTeacher = Teacher | ServedTeacher | RoutedTeachers | MixedTeachers | StoredScores


def _form_of(value: object) -> str:
    if isinstance(value, Mapping):
        forms = {"routes": "routed", "mixture": "mixed", "scores": "stored"}
        return next((form for key, form in forms.items() if key in value), _place_of(value))
    if isinstance(value, StoredScores):
        return "stored"
    if isinstance(value, RoutedTeachers | MixedTeachers):
        return "routed" if isinstance(value, RoutedTeachers) else "mixed"
    return _place_of(value)


TeacherField = Annotated[
    Annotated[Teacher, Tag("here")]
    | Annotated[ServedTeacher, Tag("served")]
    | Annotated[MixedTeachers, Tag("mixed")]
    | Annotated[RoutedTeachers, Tag("routed")]
    | Annotated[StoredScores, Tag("stored")],
    Discriminator(_form_of),
]
"""One teacher, here or behind a server, several by route, a mixture, or stored scores, told apart by ``server``,
``routes``, ``mixture`` and ``scores``."""


def views_of(teacher: AnyTeacher | None) -> list[View]:
    """Every view that a teacher has, whatever its form."""
    if teacher is None or isinstance(teacher, StoredScores):
        return []
    own = () if isinstance(teacher, RoutedTeachers) else teacher.view
    routed = teacher.routes.values() if isinstance(teacher, RoutedTeachers) else ()
    return [*own, *(view for one in routed for view in one.view)]
