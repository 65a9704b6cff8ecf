"""Office tasks as the world of a run: graded by programs, with the tools that the recipe allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from understudy.environments.office import SYSTEM, OfficeBoxes, OfficeSettings, Web
from understudy.environments.tools import ChatWords, Reader, Rules, Toolbox, ToolUse, bare_json, tagged_json
from understudy.environments.workbench import WorkbenchBoxes, load_queries, read_databases
from understudy.evaluation.programs import grade_by_programs
from understudy.home import expanded
from understudy.protocols import Environment, Task
from understudy.recipe import EnvironmentConfig
from understudy.recipe.environment import OFFICE_SUMMARIES
from understudy.sandbox import isolation
from understudy.tasks.office import load_office_tasks
from understudy.written_whole import write_whole


def office_factory(config: EnvironmentConfig) -> Callable[[], Environment]:
    """Makes the world of one attempt.

    Raises:
        DataError: the tasks cannot be read. SandboxUnavailableError: model-written code cannot run here.
    """
    isolation()
    loaded = load_office_tasks(expanded(str(config.tasks)))
    settings = OfficeSettings(web=None if config.search_url is None else Web(config.search_url))
    if config.command_seconds is not None:
        settings = settings.with_seconds(config.command_seconds)
    boxes = OfficeBoxes({task.task_id: task for task in loaded.tasks}, grade_by_programs, settings)
    return _tool_use(config, boxes, SYSTEM)


def workbench_factory(config: EnvironmentConfig) -> Callable[[], Environment]:
    """Makes the world of one attempt.

    Raises:
        DataError: the tables or queries cannot be read.
    """
    return _tool_use(config, _workbench(expanded(str(config.tasks))), "")


def write_rows(tasks: Path, out: Path, *, only: tuple[str, ...] = (), limit: int | None = None) -> int:
    """Write the tasks as a data set that recipes read, a row each with ``id`` and ``prompt``; gives their number.

    Args:
        tasks: a folder of office tasks, or of WorkBench.
    Raises:
        DataError: the tasks cannot be read.
    """
    if (tasks / "queries").is_dir():
        rows = [
            {"id": task.problem, "prompt": str(task.prompt), "suite": task.domain}
            for task in _workbench(tasks).tasks()
            if not only or task.problem in only
        ][:limit]
    else:
        loaded = load_office_tasks(tasks, only=only, limit=limit)
        rows = [{"id": task.task_id, "prompt": task.prompt, "suite": task.suite} for task in loaded.tasks]
    write_whole(out, "".join(json.dumps(row) + "\n" for row in rows), remedy="Choose another file with --out.")
    return len(rows)


def _workbench(folder: Path) -> WorkbenchBoxes:
    return WorkbenchBoxes(read_databases(folder), {query.id: query for query in load_queries(folder)})


def _tool_use(
    config: EnvironmentConfig, boxes: Callable[[Task, int], Toolbox], system: str
) -> Callable[[], Environment]:
    rules = Rules(
        max_turns=config.max_turns or 30,
        penalty=config.penalty or 0.0,
        max_summaries=OFFICE_SUMMARIES,
        words=ChatWords(system, in_text=config.calls == "text"),
    )
    read: Reader = bare_json if config.calls == "bare" else tagged_json
    return partial(ToolUse, boxes, read=read, rules=rules)
