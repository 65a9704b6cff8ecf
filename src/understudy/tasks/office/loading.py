"""Any folder of office tasks: which form it has, its tasks, and what is wrong with those that cannot be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import DataError
from understudy.tasks.office import gdpval, officebench, own
from understudy.tasks.office.office_task import OfficeTask


@dataclass(frozen=True)
class Loaded:
    """What a folder holds.

    Args:
        tasks: in order. broken: why others cannot be used, a sentence each.
    """

    tasks: tuple[OfficeTask, ...]
    broken: tuple[str, ...] = ()


def load_office_tasks(folder: Path, *, only: Sequence[str] = (), limit: int | None = None) -> Loaded:
    """The tasks of a copy of OfficeBench, of GDPval's rows, or of a folder of one's own.

    Args:
        only: identifiers; none for all. limit: the first so many.
    Raises:
        DataError: the folder is none of these, no task in it can be used, two have one identifier, or one that was
            asked for is missing.
    """
    found = _found(folder)
    tasks = [one for one in found if isinstance(one, OfficeTask)]
    broken = tuple(str(one) for one in found if isinstance(one, DataError))
    if not tasks:
        raise DataError(f"no task in {folder} can be used", got="; ".join(broken[:3]) or "none")
    names = [task.task_id for task in tasks]
    twice = next((name for name in names if names.count(name) > 1), None)
    missing = sorted(set(only) - set(names))
    if twice or missing:
        what = "two tasks have one identifier" if twice else "there is no such task"
        raise DataError(
            what, got=twice or ", ".join(missing), expected=None if twice else ", ".join(names[:8]) + ", .."
        )
    chosen = [task for task in tasks if not only or task.task_id in only]
    return Loaded(tuple(chosen[:limit]), () if only else broken)


def _found(folder: Path) -> list[OfficeTask | DataError]:
    if not folder.exists():
        raise DataError("the tasks do not exist", got=folder, expected="a folder of office tasks")
    if own.task_folders(folder):
        return own.load_own(folder)
    if officebench.task_folders(folder):
        return officebench.load_officebench(folder)
    if gdpval.row_files(folder):
        return gdpval.load_gdpval(folder)
    raise DataError(
        f"{folder} holds no office tasks",
        expected="NAME/task.yaml, OfficeBench's NAME/subtasks/*.json, or GDPval's rows as parquet, .jsonl or .json",
        remedy="`understudy office new FOLDER` makes a folder to begin with.",
    )
