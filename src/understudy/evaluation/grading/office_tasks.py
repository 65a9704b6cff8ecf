"""The tasks of ``results.json`` as graders need them, and the files they handed in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from understudy.errors import DataError, DeliverableError
from understudy.evaluation.deliverables import libreoffice, read_deliverable
from understudy.evaluation.grading.showing import HandedIn, well_formed

FILE = "results.json"


@dataclass(frozen=True)
class OfficeResults:
    """``results.json`` of a run over office tasks.

    Args:
        folder: that holds it. record: its content. tasks: by identifier, in order.
    """

    folder: Path
    record: Mapping[str, Any]
    tasks: Mapping[str, Mapping[str, Any]]


def read_office_results(folder: Path) -> OfficeResults:
    """Read a run's results.

    Raises:
        DataError: they are missing, broken, of another kind, or a task's identifier is no name of a folder.
    """
    path = folder / FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["kind"] != "office":
            raise DataError(f"{path} holds no results over office tasks", got=repr(record["kind"]))
        tasks = {str(task["task_id"]): task for task in record["tasks"]}
        num_tasks = len(record["tasks"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise (
            error if isinstance(error, DataError) else DataError(f"{path} holds no office results", got=error)
        ) from error
    wrong = next((name for name in tasks if PurePosixPath(name).parts != (name,) or name in (".", "..")), None)
    if wrong is not None or len(tasks) < num_tasks:
        raise DataError(
            f"{path}: a task's identifier", got=repr(wrong or "twice the same"), expected="a folder's name, once"
        )
    return OfficeResults(folder, record, tasks)


def files_of(results: OfficeResults, task_id: str) -> list[HandedIn]:
    """The task's deliverables, read; one that cannot be read is kept with the reason.

    Formulas without a value are computed, by LibreOffice where plain means do not do and it is installed.

    A file is only looked for in the task's own folder ``deliverables``.
    """
    listed = results.tasks[task_id].get("deliverables") or []
    return [_file(results.folder, task_id, str(name)) for name in listed]


def _file(folder: Path, task_id: str, name: str) -> HandedIn:
    inside = folder / task_id / "deliverables"
    short = well_formed(name.removeprefix(f"{task_id}/deliverables/"))
    try:
        if inside.is_symlink() or inside.parent.is_symlink():
            raise DeliverableError(f"the folder of {short} is a symbolic link")
        return HandedIn(short, read_deliverable(folder / name, inside=inside, recalculate=libreoffice()))
    except DeliverableError as error:
        return HandedIn(short, None, well_formed(str(error)))
