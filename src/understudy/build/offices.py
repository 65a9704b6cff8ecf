"""Office tasks as the world of a run: graded by programs, with the tools that the recipe allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from understudy.environments.office import SYSTEM, OfficeBoxes, OfficeSettings, Web
from understudy.environments.tools import ChatWords, Reader, Rules, ToolUse, bare_json, tagged_json
from understudy.evaluation.programs import grade_by_programs
from understudy.protocols import Environment
from understudy.recipe import EnvironmentConfig
from understudy.recipe.environment import OFFICE_SUMMARIES
from understudy.sandbox import isolation
from understudy.tasks.office import load_office_tasks


def office_factory(config: EnvironmentConfig) -> Callable[[], Environment]:
    """Makes the world of one attempt.

    Raises:
        DataError: the tasks cannot be read. SandboxUnavailableError: model-written code cannot run here.
    """
    isolation()
    loaded = load_office_tasks(Path(str(config.tasks)))
    settings = OfficeSettings(web=None if config.search_url is None else Web(config.search_url))
    if config.command_seconds is not None:
        settings = settings.with_seconds(config.command_seconds)
    boxes = OfficeBoxes({task.task_id: task for task in loaded.tasks}, grade_by_programs, settings)
    rules = Rules(
        max_turns=config.max_turns or 30,
        penalty=config.penalty or 0.0,
        max_summaries=OFFICE_SUMMARIES,
        words=ChatWords(SYSTEM, in_text=config.calls == "text"),
    )
    read: Reader = bare_json if config.calls == "bare" else tagged_json
    return partial(ToolUse, boxes, read=read, rules=rules)


def write_rows(tasks: Path, out: Path, *, only: tuple[str, ...] = (), limit: int | None = None) -> int:
    """Write the tasks as a data set that recipes read, a row each with ``id`` and ``prompt``; gives their number.

    Raises:
        DataError: the tasks cannot be read.
    """
    loaded = load_office_tasks(tasks, only=only, limit=limit)
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = ({"id": task.task_id, "prompt": task.prompt, "suite": task.suite} for task in loaded.tasks)
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return len(loaded.tasks)
