"""Loads the problems of a recipe: rows of files and hub data sets become tasks, or an error that names the row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from understudy.errors import DataError, UserMistakeError
from understudy.protocols import Prompt, Task
from understudy.recipe import Data, Source
from understudy.tasks.hub import read_hub
from understudy.tasks.prompts import completion_reader, prompt_reader
from understudy.tasks.rows import Row, file_fingerprint, is_file_name, read_file
from understudy.tasks.templates import missing_column
from understudy.tasks.verifiers import verifier_from


def load_tasks(source: Source) -> list[Task]:
    """One task a row, in the order of the rows, the first ``limit`` of them.

    Nothing is shuffled here: the order of an epoch is drawn by who trains. A row's columns are kept untouched.

    Raises:
        DataError: the data is missing, empty or broken, or a row lacks a column or has one of the wrong type; the
            message names file and line.
        RecipeError: a template or a verifier's option cannot be used.
    """
    return tasks_from(read_rows(source), source)


def read_rows(source: Source) -> list[Row]:
    """All rows of the data set, whatever ``limit`` says.

    Raises:
        DataError: it is missing, empty or broken.
    """
    if source.dataset.startswith("testbed/"):
        raise DataError(f"data set {source.dataset} is built by the testbed", expected="a file or a name of the hub")
    if is_file_name(source.dataset):
        return read_file(Path(source.dataset).expanduser())
    return read_hub(source)


def tasks_from(rows: Sequence[Row], source: Source) -> list[Task]:
    """Tasks from rows at hand; see ``load_tasks``.

    A task's problem is the row's ``id`` where all rows have one and all differ, else a hash of prompt and row number.

    Raises:
        DataError: a row lacks a column, has one of the wrong type, or a gold answer that no verifier can read.
        RecipeError: a template or a verifier's option cannot be used.
    """
    read_prompt, check = prompt_reader(source), _checker(source)
    has_ids, domain = _have_ids(rows), _domain(source.dataset)
    tasks = []
    for number, row in enumerate(rows[: source.limit]):
        try:
            prompt = read_prompt(row.columns)
            check(row.columns)
        except DataError as error:
            raise _placed(error, f"{source.dataset}, {row.place}") from error
        problem = str(row.columns["id"]) if has_ids else _hash(prompt, number)
        tasks.append(Task(problem, prompt, row.columns, domain=domain))
    return tasks


def _checker(source: Source) -> Callable[[Mapping[str, object]], None]:
    """Finds now what would otherwise stop a run in the middle: gold answers and completions that cannot be read."""
    verify = verifier_from(source.verifier, source.answer)
    read_completion = completion_reader(source) if isinstance(source, Data) else None

    def check(columns: Mapping[str, object]) -> None:
        if source.answer is not None and source.answer not in columns:
            raise missing_column(source.answer, columns)
        if verify is not None:
            verify("", columns)
        if read_completion is not None:
            read_completion(columns)

    return check


def gold_completion(data: Source, task: Task) -> str:
    """The gold completion of a task, for methods that learn from data.

    Raises:
        DataError: the task's row has none.
    """
    text = completion_reader(data)(task.columns)
    if text is None:
        raise DataError(
            f"{data.dataset}, problem {task.problem} has no gold completion",
            got=f"columns {', '.join(task.columns)}",
            expected="column 'completion', or 'messages' that end with the assistant",
            remedy="Set data.completion to a template such as '{answer}'.",
        )
    return text


def data_fingerprint(source: Source) -> str:
    """Says which data this was: a hash of the file's bytes, or the hub's name, config and split.

    Raises:
        DataError: the file cannot be read.
    """
    if is_file_name(source.dataset):
        return file_fingerprint(Path(source.dataset).expanduser())
    return "/".join(part for part in (source.dataset, source.config, source.split) if part)


def _have_ids(rows: Sequence[Row]) -> bool:
    ids = [row.columns.get("id") for row in rows]
    return all(isinstance(one, str | int) and one != "" for one in ids) and len({str(one) for one in ids}) == len(ids)


def _hash(prompt: Prompt, number: int) -> str:
    text = json.dumps([number, prompt], sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _domain(dataset: str) -> str:
    return Path(dataset).stem if is_file_name(dataset) else dataset


def _placed(error: UserMistakeError, where: str) -> DataError:
    return DataError(f"{where}: {error.what}", got=error.got, expected=error.expected, remedy=error.remedy)
