"""Households as tasks: seeded splits, and files of games."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Literal, get_args

from understudy.environments.household.drawing import Range, draw_game
from understudy.environments.household.game import TASK_KINDS, Game, TaskKind, game_from
from understudy.environments.household.rooms import RoomKind
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.written_whole import AGAIN, write_whole

Split = Literal["train", "valid_seen", "valid_unseen"]
"""For training; other games in the same rooms with the same goals; other rooms with goals that training never had."""
_ROOMS: tuple[RoomKind, ...] = ("kitchen", "livingroom", "bedroom", "bathroom")
TINY_KINDS: tuple[TaskKind, ...] = ("place", "clean", "heat")


def tasks(split: Split, count: int, seed: int = 0, *, kinds: tuple[TaskKind, ...] = TASK_KINDS) -> list[Task]:
    """``count`` games of full size; the first of a longer list are those of a shorter one.

    Raises:
        DataError: no such split, a count below 1, or no sort of task.
    """
    return _drawn("household", split, count, seed, rooms=_ROOMS, kinds=kinds)


def tiny_household_tasks(
    split: Split, count: int, seed: int = 0, *, kinds: tuple[TaskKind, ...] = TINY_KINDS
) -> list[Task]:
    """``count`` games in a house of eight places with a few things, for tiny students; see ``tasks``.

    There is one tiny house, so its unseen games differ in their goals only; ``examine`` needs a lamp, which it lacks.

    Raises:
        DataError: no such split, a count below 1, or no sort of task that a tiny house has.
    """
    if "examine" in kinds:
        raise DataError("a tiny house has no lamp", got="examine", expected="place, two, clean, heat or cool")
    return _drawn("household-tiny", split, count, seed, rooms=("tiny",), kinds=kinds)


def task_of(game: Game, problem: str, *, domain: str = "household") -> Task:
    """A game as a task: its columns, and a domain for each sort of task."""
    return Task(
        problem=problem,
        prompt=game.goal.sentence,
        columns={"id": problem, "prompt": game.goal.sentence, **game.columns()},
        domain=f"{domain}/{game.goal.kind}",
    )


def save_tasks(path: Path, found: list[Task]) -> None:
    """Write one task a line, as ``load_tasks`` reads them."""
    write_whole(path, "".join(json.dumps(dict(task.columns)) + "\n" for task in found), remedy=AGAIN)


def load_tasks(path: Path, *, domain: str = "household") -> list[Task]:
    """The tasks of a JSON-lines file; a line may lack ``id``.

    Raises:
        DataError: the file cannot be read or holds none, or a line is no game; the line is named.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("a file of household tasks cannot be read", got=path.name, remedy=str(error)) from error
    found = [
        _read(line, f"{path.name} line {number}", domain) for number, line in enumerate(lines, start=1) if line.strip()
    ]
    if not found:
        raise DataError("a file of household tasks holds none", got=path.name)
    return found


def _read(line: str, where: str, domain: str) -> Task:
    try:
        columns = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is no JSON", got=line[:60]) from error
    if not isinstance(columns, dict):
        raise DataError(f"{where} is no household task", got=line[:60], expected="an object")
    try:
        game = game_from(columns)
    except DataError as error:
        raise DataError(f"{where}: {error.what}", got=error.got, expected=error.expected) from error
    return task_of(game, str(columns.get("id", where)), domain=domain)


def _drawn(
    domain: str, split: Split, count: int, seed: int, *, rooms: tuple[RoomKind, ...], kinds: tuple[TaskKind, ...]
) -> list[Task]:
    if split not in get_args(Split):
        raise DataError(f"{domain} has no such split", got=repr(split), expected=", ".join(get_args(Split)))
    if count < 1:
        raise DataError("zero tasks were asked for", got=str(count), expected="1 or more")
    if not kinds or set(kinds) - set(TASK_KINDS):
        raise DataError("no such sorts of task", got=repr(kinds), expected=", ".join(TASK_KINDS))
    wanted = Range(rooms=rooms, kinds=kinds, unseen=split == "valid_unseen")
    names = [f"{domain}-{split}-{seed}-{number}" for number in range(count)]
    return [task_of(draw_game(wanted, Random(name)), name, domain=domain) for name in names]
