"""The architectures of a recipe's models, whether or not they are on this machine, and what was assumed of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig

from understudy.errors import UserMistakeError
from understudy.recipe import Recipe, ServedTeacher
from understudy.recipe.teachers import SELF
from understudy.scaling.architecture import Architecture, architecture_from
from understudy.scaling.known import known_architecture
from understudy.testbed import is_testbed, model_config


@dataclass(frozen=True)
class Models:
    """The models of a plan. Args: student, teacher: None without one. notes: what was assumed, in sentences."""

    student: Architecture
    teacher: Architecture | None
    notes: tuple[str, ...]


def models_of(recipe: Recipe, *, student_config: Path | None, teacher_config: Path | None) -> Models:
    """The architectures of a recipe's student and teacher.

    Args:
        student_config, teacher_config: files in the form of ``config.json``, which go before everything else.
    Raises:
        UserMistakeError: a model is not on this machine, not known by name, and no file was given.
    """
    student = _resolved("student", recipe.student.model, student_config)
    teachers = _teachers(recipe, student, teacher_config)
    largest = max(teachers, key=lambda one: one.layer_parameters, default=None)
    notes = [f"The {role} is {one.name}, by {one.source}." for role, one in (("student", student),)]
    if largest is not None:
        notes.append(f"The teacher is {largest.name}, by {largest.source}.")
    if len(teachers) > 1 and largest is not None:
        notes.append(f"Of {len(teachers)} teachers every text is counted as read by one, the largest.")
    experts = [one.name for one in (student, largest) if one is not None and one.inner_stored > one.inner]
    if experts:
        notes.append(f"Tokens choose the experts of {' and '.join(dict.fromkeys(experts))} evenly.")
    return Models(student, largest, tuple(notes))


def _teachers(recipe: Recipe, student: Architecture, config: Path | None) -> list[Architecture]:
    members = {} if recipe.teacher is None else recipe.teacher.members
    found: dict[str, Architecture] = {}
    for role, one in members.items():
        if one.model == SELF:
            found[SELF] = student
        elif one.model is not None:
            found.setdefault(one.model, _resolved(role, one.model, config))
        elif config is not None:
            found[str(config)] = _from_file(role, str(config), config)
        elif isinstance(one, ServedTeacher):
            raise UserMistakeError(
                f"the recipe does not say which model the {role}'s server has",
                remedy="Give --teacher-config config.json, or name the model in its section.",
            )
    return list(found.values())


def _resolved(role: str, name: str, config: Path | None) -> Architecture:
    if config is not None:
        return _from_file(role, name, config)
    if is_testbed(name):
        return architecture_from(model_config(name).to_dict(), name=name, source="the testbed's own configuration")
    if (Path(name) / "config.json").is_file():
        return _from_file(role, name, Path(name) / "config.json")
    known = known_architecture(name)
    if known is not None:
        return known
    try:
        found = AutoConfig.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError) as error:
        option = f"--{'student' if role == 'student' else 'teacher'}-config"
        raise UserMistakeError(
            f"the architecture of the {role} is not known",
            got=f"{name}, which is neither on this machine nor in the table of sizes",
            remedy=f"Give its config.json by {option}.",
        ) from error
    return architecture_from(found.to_dict(), name=name, source="its configuration on this machine")


def _from_file(role: str, name: str, file: Path) -> Architecture:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserMistakeError(f"the {role}'s configuration cannot be read", got=f"{file}: {reason}") from error
    if not isinstance(content, dict):
        raise UserMistakeError(f"the {role}'s configuration is no object", got=str(file), expected="a config.json")
    return architecture_from({**_class_defaults(content), **content}, name=name, source=str(file))


def _class_defaults(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What ``save_pretrained`` leaves out where it is the class's own: whether the head is the embedding once more."""
    kind = str(content.get("model_type"))
    tied = getattr(CONFIG_MAPPING[kind], "tie_word_embeddings", None) if kind in CONFIG_MAPPING else None
    return {"tie_word_embeddings": tied} if isinstance(tied, bool) else {}
