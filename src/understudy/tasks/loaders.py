"""Loads the problems of a recipe: rows of files and hub data sets become tasks, or an error that names the row."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from understudy.errors import DataError, UserMistakeError
from understudy.protocols import Prompt, Task
from understudy.recipe import Source
from understudy.tasks.filters import row_filter, values_found
from understudy.tasks.options import option_reader
from understudy.tasks.prompts import completion_reader, prompt_reader, teacher_text_reader
from understudy.tasks.rows import Row
from understudy.tasks.sources import domain_of, read_rows
from understudy.tasks.templates import MissingValueError, missing_column
from understudy.tasks.verdicts import UnreadableGoldError, golds_of
from understudy.tasks.verifiers import verifier_from

FILTERED = "by filter"
"""Why a row was left out that the recipe's filter does not take."""


@dataclass(frozen=True)
class Loaded:
    """The tasks of a data set, and what became of its rows.

    Args:
        tasks: in the order of the rows. num_rows: that were looked at. dropped: rows left out, by the reason.
    """

    tasks: list[Task]
    num_rows: int
    dropped: Mapping[str, int] = field(default_factory=dict)


def load_tasks(source: Source) -> list[Task]:
    """The tasks of ``load``, without the counts."""
    return load(source).tasks


def load(source: Source) -> Loaded:
    """One task for each row that is kept, in the order of the rows, the first ``limit`` of them.

    Nothing is shuffled here: the order of an epoch is drawn by who trains. A row's columns are kept untouched.

    Raises:
        DataError: the data is missing, empty or broken, or a row lacks a column or has one of the wrong type; the
            message names file and line.
        RecipeError: a template or a verifier's option cannot be used.
    """
    return loaded_from(read_rows(source), source)


def tasks_from(rows: Sequence[Row], source: Source) -> list[Task]:
    """The tasks of ``loaded_from``, without the counts."""
    return loaded_from(rows, source).tasks


def loaded_from(rows: Sequence[Row], source: Source) -> Loaded:
    """Tasks from rows at hand; see ``load``.

    A task's problem is the row's ``identifier``, or without one its ``id`` where all rows have one and all differ, else
    a hash of prompt and row number.

    Raises:
        DataError: a row lacks a column, has one of the wrong type, or a gold answer that no verifier can read; two
            rows have one identifier; or no row is left.
        RecipeError: a template or a verifier's option cannot be used.
    """
    dropped: Counter[str] = Counter()
    fitting = _begun(rows, source, dropped)
    tasks: list[Task] = []
    # As many as are wanted are begun at once; for those whose gold answer then proves unreadable, as many more.
    while begun := list(islice(fitting, None if source.limit is None else source.limit - len(tasks))):
        for task, row, finish in begun:
            try:
                finish()
            except DataError as error:
                dropped[_excused(error, row, source)] += 1
            else:
                tasks.append(task)
    if not tasks:
        raise _nothing_left(rows, source, dropped)
    return Loaded(tasks, len(tasks) + dropped.total(), dict(dropped))


def _begun(
    rows: Sequence[Row], source: Source, dropped: Counter[str]
) -> Iterator[tuple[Task, Row, Callable[[], object]]]:
    """Tasks whose gold answers are still being read; what is left out is counted."""
    keeps, read_prompt, check = row_filter(source.filter), prompt_reader(source), _checker(source)
    with_options, domain = option_reader(source), domain_of(source)
    named = _identifiers(rows, source)
    for number, row in enumerate(rows):
        try:
            if not keeps(row.columns):
                dropped[FILTERED] += 1
                continue
            columns = with_options(row.columns)
            prompt, finish = read_prompt(columns), check(columns)
        except DataError as error:
            dropped[_excused(error, row, source)] += 1
            continue
        problem = named[number] if named else _hash(prompt, number)
        yield Task(problem, prompt, columns, domain=domain), row, finish


def _checker(source: Source) -> Callable[[Mapping[str, object]], Callable[[], object]]:
    """Finds now what would otherwise stop a run in the middle: gold answers and completions that cannot be read.

    What takes time is begun; the function that comes back waits for it.
    """
    verify = verifier_from(source.verifier, source.gold_column)
    begin: Any = getattr(verify, "check", None)
    read_completion, read_teacher = completion_reader(source), teacher_text_reader(source)

    def check(columns: Mapping[str, object]) -> Callable[[], object]:
        if source.answer is not None and source.answer not in columns:
            raise missing_column(source.answer, columns)
        if source.answer is not None and columns[source.answer] is None and verify is not None:
            golds_of(columns, source.answer)  # also for a verifier that would not look
        read_completion(columns)
        read_teacher(columns)
        if begin is not None:
            return begin(columns)
        if verify is not None:
            verify("", columns)
        return lambda: None

    return check


def _excused(error: DataError, row: Row, source: Source) -> str:
    """The reason to leave the row out; raises the error, with the row's place, where the recipe does not allow it."""
    may_drop = isinstance(error, MissingValueError | UnreadableGoldError)
    if source.missing == "error" or not may_drop:
        remedy = error.remedy or ("missing: drop leaves such rows out and counts them." if may_drop else None)
        raise _placed(error, f"{source.dataset}, {row.place}", remedy) from error
    if isinstance(error, MissingValueError):
        return f"without {error.column!r}"
    return "with a gold answer that cannot be read"


def _nothing_left(rows: Sequence[Row], source: Source, dropped: Mapping[str, int]) -> DataError:
    got = ", ".join(f"{count} left out {reason}" for reason, count in dropped.items())
    expected = None
    if dropped.get(FILTERED):
        expected = "values that occur: " + values_found(rows, source.filter)
    return DataError(f"no row of {source.dataset} is left", got=f"{len(rows)} rows, {got}", expected=expected)


def _identifiers(rows: Sequence[Row], source: Source) -> list[str]:
    """What the rows call themselves; none where they do not, or not each in its own way."""
    ids = [row.columns.get(source.identifier or "id") for row in rows]
    nameless = next((number for number, one in enumerate(ids) if not isinstance(one, str | int) or one == ""), None)
    names = [str(one) for one in ids]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if source.identifier is None:
        return [] if twice or nameless is not None else names
    if nameless is not None:
        where = f"{source.dataset}, {rows[nameless].place}"
        raise _placed(missing_column(source.identifier, rows[nameless].columns), where, None)
    if twice:
        shown = ", ".join(repr(name) for name in twice[:3]) + (", ..." if len(twice) > 3 else "")
        raise DataError(
            f"{source.dataset}: {len(twice)} identifiers stand in more than one row",
            got=f"{shown} in column {source.identifier!r}",
            expected="one row a problem",
        )
    return names


def _hash(prompt: Prompt, number: int) -> str:
    text = json.dumps([number, prompt], sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _placed(error: UserMistakeError, where: str, remedy: str | None) -> DataError:
    return DataError(f"{where}: {error.what}", got=error.got, expected=error.expected, remedy=remedy)
