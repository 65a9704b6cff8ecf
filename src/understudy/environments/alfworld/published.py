"""The published games, where the user has them: a folder of ``game.tw-pddl`` files."""

from __future__ import annotations

import json
import re
from pathlib import Path

from understudy.environments.alfworld.world import GAME_FILE
from understudy.environments.household.game import TaskKind
from understudy.errors import DataError
from understudy.protocols import Task

NAME = "game.tw-pddl"
_TASK = re.compile(r'Your task is to: (.*?)\.?"')
FIELDS = ("pddl_domain", "grammar", "pddl_problem")
"""What a game cannot do without."""
KINDS: dict[str, TaskKind] = {
    "pick_and_place_simple": "place",
    "pick_two_obj_and_place": "two",
    "look_at_obj_in_light": "examine",
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
}
"""ALFRED's names for sorts of task, with which its folders begin."""


def published_tasks(folder: Path, *, limit: int | None = None) -> list[Task]:
    """One task for each solvable game below a folder, in the order of their paths.

    Args:
        limit: only the first so many.
    Raises:
        DataError: the folder holds no solvable game, or a file lacks a field.
    """
    found: list[Task] = []
    for path in sorted(folder.rglob(NAME)):
        if limit is not None and len(found) == limit:
            break
        game = _read(path)
        if game.get("solvable") is False:
            continue
        name, kind, goal = path.parent.relative_to(folder).as_posix(), _kind(path), _goal(game)
        columns = {"id": name, "prompt": goal, "kind": kind, GAME_FILE: str(path)}
        found.append(Task(problem=name, prompt=goal, columns=columns, domain=f"alfworld/{kind}"))
    if not found:
        raise DataError("a folder of ALFWorld games holds none that can be solved", got=folder.name, expected=NAME)
    return found


def _read(path: Path) -> dict[str, object]:
    try:
        game = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError("an ALFWorld game cannot be read", got=f"{path.parent.name}/{NAME}") from error
    missing = [name for name in FIELDS if not isinstance(game, dict) or not game.get(name)]
    if missing:
        raise DataError(
            f"an ALFWorld game has no {missing[0]}", got=f"{path.parent.name}/{NAME}", expected=", ".join(FIELDS)
        )
    return dict(game)


def _kind(path: Path) -> str:
    """The sort of task, told by the folder's name; ``other`` where it does not tell."""
    folders = [folder.name for folder in path.parents]
    return next((kind for name, kind in KINDS.items() if any(one.startswith(name) for one in folders)), "other")


def _goal(game: dict[str, object]) -> str:
    found = _TASK.search(str(game["grammar"]))
    return found[1] if found else ""
