"""A folder of one's own tasks: a folder each, with ``task.yaml`` and ``references/``; docs/office.md has the form."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from understudy.errors import DataError
from understudy.recipe.section import Section, Text
from understudy.tasks.office.fields import folder_name, place_of
from understudy.tasks.office.office_task import Check, Criterion, HandIn, OfficeTask, Reference, Scoring

FORM = "task.yaml"


class OwnCriterion(Section):
    """A line of the rubric.

    Args:
        criterion: in words; where a check decides, it may be left out. points: below zero for what should not be there.
        check: ``kind`` and its arguments; null for a grader to decide.
    """

    criterion: Text | None = None
    points: Annotated[float, Field(strict=True)] = 1.0
    check: dict[str, object] | None = None


class OwnTask(Section):
    """``task.yaml``.

    Args:
        prompt: what is asked. rubric: what is looked for. hand_in: ``named``, the files that ``finish`` names, or
            ``changed``, every new or changed file. scoring: ``points``, or ``all`` for 1 only where everything is met.
        columns: anything else to keep with the task.
    """

    prompt: Text
    rubric: tuple[OwnCriterion, ...] = ()
    hand_in: HandIn = "named"
    scoring: Scoring = "points"
    columns: dict[str, object] = Field(default_factory=dict)


def task_folders(folder: Path) -> list[Path]:
    """The folders that have a ``task.yaml``."""
    return sorted(path.parent for path in folder.glob(f"*/{FORM}"))


def load_own(folder: Path) -> list[OfficeTask | DataError]:
    """Every task, in the order of the names; the reason in place of one that cannot be used."""
    loaded: list[OfficeTask | DataError] = []
    for one in task_folders(folder):
        try:
            loaded.append(_task(one))
        except DataError as error:
            loaded.append(error)
    return loaded


def _task(folder: Path) -> OfficeTask:
    form = _form(folder / FORM)
    references = folder / "references"
    return OfficeTask(
        task_id=folder_name(folder.name),
        prompt=form.prompt,
        suite="own",
        references=tuple(
            Reference(PurePosixPath(path.relative_to(references).as_posix()), path)
            for path in sorted(references.rglob("*"))
            if path.is_file() and not path.is_symlink()
        ),
        rubric=tuple(_criterion(line, number, folder) for number, line in enumerate(form.rubric, 1)),
        hand_in=form.hand_in,
        scoring=form.scoring,
        files={
            path.relative_to(folder / "expected").as_posix(): path
            for path in sorted((folder / "expected").rglob("*"))
            if path.is_file() and not path.is_symlink()
        },
        columns=form.columns,
    )


def _form(path: Path) -> OwnTask:
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read", got=" ".join(str(error).split())[:200]) from error
    if not isinstance(record, dict):
        raise DataError(f"{path} holds no fields", expected="prompt: ..., rubric: [...]")
    try:
        return OwnTask(**record)
    except (ValidationError, TypeError) as error:
        raise DataError(f"{path} is not a task", got=_first(error), remedy="docs/office.md has the form.") from error


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    told = error.errors()[0]
    return f"{'.'.join(str(part) for part in told['loc'])}: {told['msg']}"


def _criterion(line: OwnCriterion, number: int, folder: Path) -> Criterion:
    where = f"line {number} of the rubric of {folder.name}"
    if line.check is None:
        if line.criterion is None:
            raise DataError(f"{where} has neither criterion nor check")
        return Criterion(str(number), line.criterion, line.points)
    arguments = dict(line.check)
    kind = arguments.pop("kind", None)
    if not isinstance(kind, str):
        raise DataError(f"the check of {where} has no kind", got=repr(line.check)[:120])
    for name in ("file", "result_file", "output_file"):
        if name in arguments:
            arguments[name] = place_of(arguments[name], where=where).as_posix()
    told = ", ".join(f"{key}: {value}" for key, value in arguments.items())
    words = line.criterion or f"{kind.replace('_', ' ')} ({told})"
    return Criterion(str(number), words, line.points, Check(kind, arguments))
