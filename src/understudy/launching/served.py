"""Which models of a recipe are to be served, and the override that sends the trainer to the servers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.errors import UserMistakeError
from understudy.launching.order import KEY_VARIABLE, PROGRAMS, Order, Program
from understudy.objectives.methods import objective_of
from understudy.recipe import MixedTeachers, Recipe, RoutedTeachers, ServedTeacher, StoredScores, Teacher
from understudy.recipe.teachers import SELF

Role = Literal["sampler", "teacher"]
_LEAST_LOGPROBS = 128


@dataclass(frozen=True)
class Served:
    """A model that servers are to answer for.

    Args:
        name: of it, the servers are ``NAME-0``, ``NAME-1``. role: what it is for.
        field: of the recipe, that is set to where it is served. model, dtype: what is loaded.
        program: that serves it. trust_remote_code: as the recipe has it.
        key_variable: environment variable with the key that the servers ask for; None where they ask for none.
        section: what else the recipe says of the served model. addresses: name of the field for its addresses.
    """

    name: str
    role: Role
    field: str
    model: str
    dtype: str
    program: Program
    trust_remote_code: bool
    key_variable: str | None
    section: Mapping[str, object]
    addresses: Literal["server", "urls"] = "server"

    def override(self, urls: Sequence[str]) -> str:
        """``field=...`` with the addresses of its servers, for the trainer's command."""
        key = {} if self.key_variable is None else {"api_key_env": self.key_variable}
        value = {self.addresses: list(urls), **key, **self.section}
        return f"{self.field}={json.dumps(value)}"


def served_models(recipe: Recipe, order: Order) -> list[Served]:
    """Every model that the order wants served: the student for samplers, then the teachers.

    Raises:
        UserMistakeError: servers were ordered for what the recipe does not have, or what cannot be served.
    """
    return [*_samplers(recipe, order), *_teachers(recipe, order)]


def most_logprobs(recipe: Recipe) -> int:
    """Log-probs a row that a server must give for the recipe's method."""
    needs = objective_of(recipe.objective.with_token_ids(lambda _: -1)).needs
    return max([_LEAST_LOGPROBS, *(k + 1 for k in needs.top_k.values())])


def _samplers(recipe: Recipe, order: Order) -> list[Served]:
    if not order.samplers:
        return []
    student, written = recipe.student, recipe.rollout.server
    section = {} if written is None else _written(written)
    program = _program(order, str(section.get("kind", "auto")))
    return [
        Served(
            name="sampler",
            role="sampler",
            field="rollout.server",
            model=student.model,
            dtype=student.dtype,
            program=program,
            trust_remote_code=student.trust_remote_code,
            key_variable=_key(section, program),
            section={"model": student.model, **_without(section, "api_key_env", "urls")},
            addresses="urls",
        )
    ]


def _teachers(recipe: Recipe, order: Order) -> list[Served]:
    if not order.teachers:
        return []
    if recipe.teacher is None or isinstance(recipe.teacher, StoredScores):
        what = "no teacher" if recipe.teacher is None else "a teacher whose scores are stored"
        raise UserMistakeError(
            "there is no teacher to serve",
            got=f"--teachers {order.teachers} for a recipe with {what}",
            remedy="Leave --teachers out, or name the teacher's model in the recipe.",
        )
    return [_teacher(recipe, order, name, one) for name, one in recipe.teacher.members.items()]


def _teacher(recipe: Recipe, order: Order, name: str, one: Teacher | ServedTeacher) -> Served:
    if one.model in (None, SELF):
        what = "its servers, and not its model" if one.model is None else "the student as its own teacher"
        raise UserMistakeError(
            f"the {name} cannot be served",
            got=f"a recipe that names {what}",
            remedy="Name its folder or hub name in the field 'model' of its section, or leave --teachers out.",
        )
    assert one.model is not None
    written = _written(one)
    section = _without(written, "api_key_env", "server", "dtype", "trust_remote_code", "weights")
    program = _program(order, str(section.get("kind", "auto")))
    if program != "understudy" and "tokenizer" not in section and Path(one.model).is_dir():
        section["tokenizer"] = one.model  # only ours tells what its tokenizer is
    if one.align and "tokenizer" not in section:
        section["tokenizer"] = one.model
    return Served(
        name=name.replace("/", "-"),
        role="teacher",
        field=_field_of(recipe, name),
        model=one.model,
        dtype=str(written.get("dtype", recipe.student.dtype)),
        program=program,
        trust_remote_code=bool(written.get("trust_remote_code", False)),
        key_variable=_key(written, program),
        section=section,
    )


def _field_of(recipe: Recipe, name: str) -> str:
    route = name.partition("/")[2]
    if "." in route:
        raise UserMistakeError(
            f"the {name} cannot be sent to its servers: a dot in a route's name reads as a section within a section",
            got=repr(route),
            remedy="Give the route, and the data set that it is for (name: ...), a name without dots.",
        )
    if isinstance(recipe.teacher, RoutedTeachers):
        return f"teacher.routes.{route}"
    return f"teacher.mixture.{route}" if isinstance(recipe.teacher, MixedTeachers) else "teacher"


def _written(section: object) -> dict[str, object]:
    """What the recipe says beyond the defaults."""
    return dict(section.model_dump(mode="json", exclude_defaults=True))  # type: ignore[attr-defined]


def _without(section: Mapping[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in section.items() if name not in names}


def _key(section: Mapping[str, object], program: Program) -> str | None:
    """SGLang takes a key on its command line alone, where everybody on the machine reads it: it asks for none."""
    return None if program == "sglang" else str(section.get("api_key_env", KEY_VARIABLE))


def _program(order: Order, kind: str) -> Program:
    if order.program is not None:
        return order.program
    return next((program for program in PROGRAMS if program == kind), "understudy")
