"""OfficeBench: office work over workbooks, documents, mail and calendars, judged by programs.

Source: Wang et al., arXiv:2407.19056; the tasks are read from the published folders (Apache-2.0), which stay outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from understudy.errors import DataError
from understudy.tasks.office.fields import folder_name, json_of, list_of, place_of, text_of
from understudy.tasks.office.office_task import Check, Criterion, OfficeTask, Reference

_FILES = {"file", "result_file", "output_file"}
_COMPARED = {"expected_file": "reference", "input_file": "testbed"}
"""Arguments that name a file outside the workspace, and the folder of the task that holds it."""

PROMPT = """Today is {date} ({weekday}), {time}. You are the assistant of {username}.

Your working folder holds `data/` (files), `calendar/NAME.ics` (the calendar of each person) and `emails/NAME/` (the
mail of each person, one .eml file a mail); folders that are missing can be made. Mail is sent by writing it as
`emails/RECIPIENT/SUBJECT.eml`. If the task is a question, write the answer to `data/answer.txt`. Save other files in
`data/`.

Task: {task}"""


def task_folders(folder: Path) -> list[Path]:
    """The folders of tasks in a copy of OfficeBench: those with subtasks, in the order of their numbers."""
    found = {path.parents[1] for path in folder.glob("tasks/*/subtasks/*.json")}
    found |= {path.parents[1] for path in folder.glob("*/subtasks/*.json")}
    return sorted(found, key=lambda path: [int(part) if part.isdigit() else 0 for part in path.name.split("-")])


def load_officebench(folder: Path) -> list[OfficeTask | DataError]:
    """Every subtask, in order; the reason in place of one that cannot be read."""
    loaded: list[OfficeTask | DataError] = []
    for task_folder in task_folders(folder):
        for path in sorted(task_folder.glob("subtasks/*.json"), key=lambda one: (len(one.stem), one.stem)):
            try:
                loaded.append(_task(task_folder, path))
            except DataError as error:
                loaded.append(error)
    return loaded


def _task(folder: Path, path: Path) -> OfficeTask:
    where, record = f"{folder.name}/{path.stem}", json_of(path)
    checks = list_of(record, "evaluation", where=where)
    if not checks:
        raise DataError(f"{where} has no evaluation", expected="a list of checks")
    told = {name: text_of(record, name, where=where) for name in ("username", "date", "weekday", "time", "task")}
    files: dict[str, Path] = {}
    rubric = [_criterion(number, check, folder, files, where=where) for number, check in enumerate(checks)]
    testbed = folder / "testbed"
    return OfficeTask(
        task_id=folder_name(where),
        prompt=PROMPT.format(**told),
        suite="officebench",
        references=tuple(
            Reference(PurePosixPath(one.relative_to(testbed).as_posix()), one)
            for one in sorted(testbed.rglob("*"))
            if one.is_file()
        ),
        rubric=tuple(rubric),
        hand_in="changed",
        scoring="all",
        files=files,
        columns={"task": told["task"], "username": told["username"]},
    )


def _criterion(number: int, record: Any, folder: Path, files: dict[str, Path], *, where: str) -> Criterion:
    if not isinstance(record, Mapping):
        raise DataError(f"check {number} of {where} is no object", got=repr(record)[:120])
    name = text_of(record, "function", where=f"check {number} of {where}")
    # Some subtasks write the file beside the arguments instead of among them.
    beside = {key: record[key] for key in ("file",) if key in record}
    given = {**beside, **dict(record.get("args") or {})}
    arguments = {key: _argument(key, value, folder, files, where=where) for key, value in given.items()}
    kind = name.removeprefix("evaluate_")
    if kind == "excel_cell_value" and "file" not in arguments:
        raise DataError(f"check {number} of {where} names no file", got=repr(dict(record))[:200])
    told = ", ".join(f"{key}: {value}" for key, value in arguments.items())
    return Criterion(f"{number}-{kind}", f"{kind.replace('_', ' ')} ({told})", check=Check(kind, arguments))


def _argument(key: str, value: object, folder: Path, files: dict[str, Path], *, where: str) -> object:
    if key in _FILES:
        return place_of(value, where=where).as_posix()
    if key not in _COMPARED:
        return value
    # Published paths climb out of an output folder: what counts is what follows the folder's name.
    inner = str(value).rpartition(f"{_COMPARED[key]}/")[2]
    files[str(value)] = folder / _COMPARED[key] / place_of(inner, where=where)
    return value
