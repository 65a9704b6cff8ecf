"""Rubrics from files beside the results: GDPval's rows, or a folder of tasks of one's own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from understudy.errors import DataError
from understudy.evaluation.grading.rubric import rubric_of
from understudy.tasks.office import Criterion, load_office_tasks
from understudy.tasks.office.fields import folder_name


def rubrics_in(path: Path) -> dict[str, tuple[Criterion, ...]]:
    """The rubric of each task: of a folder of office tasks, or rows of ``task_id`` and ``rubric_json`` in a file.

    A file is .parquet, .jsonl or .json; unlike a folder of GDPval's rows it needs no reference files beside it.

    Raises:
        DataError: no such file, no rows, a row without these, or a task twice.
    """
    if path.is_dir():
        return {task.task_id: task.rubric for task in load_office_tasks(path).tasks if task.rubric}
    found: dict[str, tuple[Criterion, ...]] = {}
    for number, row in enumerate(_rows(path), 1):
        task_id = row.get("task_id") if isinstance(row, Mapping) else None
        if not isinstance(task_id, str) or not task_id:
            raise DataError(f"row {number} of {path} has no task_id", got=repr(row)[:120])
        name = folder_name(task_id)  # as the results name it
        if name in found:
            raise DataError(f"{path} has task {task_id} twice")
        found[name] = rubric_of(row.get("rubric_json"), where=f"task {task_id} of {path}")
    if not found:
        raise DataError(f"{path} holds no rubrics", expected="rows of task_id and rubric_json")
    return found


def _rows(path: Path) -> Iterator[Any]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            yield from pyarrow.parquet.read_table(path, columns=["task_id", "rubric_json"]).to_pylist()
        elif path.suffix == ".jsonl":
            with path.open(encoding="utf-8") as lines:
                yield from (json.loads(line) for line in lines if line.strip())
        else:
            content = json.loads(path.read_text(encoding="utf-8"))
            yield from content if isinstance(content, list) else [content]
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read", got=str(error)[:200], expected=".parquet, .jsonl or .json") from error
