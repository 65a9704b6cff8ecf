"""The tools of one office task, and what becomes of what the agent leaves."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from understudy.environments.office.attempt import UNFINISHED, Attempt, Grade, Graded
from understudy.environments.office.handing_in import finish, paths_of
from understudy.environments.office.pictures import view_image
from understudy.environments.office.shell import code_exec
from understudy.environments.office.web import Web, web_tools
from understudy.environments.office.workspace import Workspace
from understudy.environments.tools import Ending, Judgement, Toolbox
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.sandbox import Limits
from understudy.tasks.office import OfficeTask

SYSTEM = (
    "You do office work on a computer. Your working folder is /workspace; the files of the task are in it, and what "
    "you make must be saved in it. Call tools to look at files, to write them and to check them; Python has openpyxl, "
    "python-docx, python-pptx, pypdf and icalendar. When the work is done, call finish with the paths of the files "
    "that you hand in: nothing else is looked at."
)


def _code_limits() -> Limits:
    return Limits(
        wall_seconds=300.0,
        cpu_seconds=300.0,
        memory_bytes=2 << 30,
        num_processes=64,
        output_bytes=40_000,
        file_bytes=64 << 20,
    )


@dataclass(frozen=True)
class OfficeSettings:
    """What agents may use.

    Args:
        limits: of a command. web: None offers no web tools.
    """

    limits: Limits = field(default_factory=_code_limits)
    web: Web | None = None

    def with_seconds(self, seconds: float) -> OfficeSettings:
        """The same, with another bound on the time of a command."""
        return replace(self, limits=replace(self.limits, wall_seconds=seconds, cpu_seconds=seconds))


class OfficeBoxes:
    """Opens the tools of a task: what ``ToolUse`` and ``Conversation`` are given.

    Args:
        tasks: by identifier, which is ``Task.problem``. grade: judges an attempt; None leaves it ungraded.
        settings: what agents may use.
    """

    def __init__(self, tasks: Mapping[str, OfficeTask], grade: Grade | None, settings: OfficeSettings) -> None:
        self._tasks, self._grade, self._settings = tasks, grade, settings

    def __call__(self, task: Task, seed: int) -> Toolbox:  # noqa: ARG002 (nothing here is random)
        """A new workspace with the task's files, and the tools for it."""
        office_task = self._tasks.get(task.problem)
        if office_task is None:
            raise DataError(f"there is no office task {task.problem!r}", expected="one of environment.tasks")
        holder = tempfile.TemporaryDirectory(prefix="understudy-office-", ignore_cleanup_errors=True)
        folder = Path(holder.name) / "workspace"
        folder.mkdir()
        workspace = Workspace(folder, office_task.references)

        def judge(ending: Ending) -> Judgement:
            return self._judged(office_task, workspace, ending)

        tools = [code_exec(folder, self._settings.limits), *web_tools(self._settings.web), view_image(workspace)]
        return Toolbox(
            tools=tuple(tools),
            finish=finish(workspace),
            judge=judge,
            is_graded=office_task.is_programmatic,
            close=holder.cleanup,
            unfinished=UNFINISHED,
        )

    def _judged(self, task: OfficeTask, workspace: Workspace, ending: Ending) -> Judgement:
        attempt = _attempt(task, workspace, ending)
        graded = Graded(None) if self._grade is None else self._grade(task, attempt)
        info = {**attempt.figures(), "score": graded.score, **graded.info}
        if graded.score is None:
            return Judgement(reward=math.nan, info=info)
        return Judgement(reward=graded.score, correct=graded.score == 1.0, info=info)


def _attempt(task: OfficeTask, workspace: Workspace, ending: Ending) -> Attempt:
    if ending.why != "finished":
        return Attempt(workspace.folder, ending, (), num_refused=workspace.num_refused)
    taken, not_taken = workspace.handed_in(paths_of(ending.arguments), task.hand_in)
    return Attempt(workspace.folder, ending, taken, not_taken, workspace.num_refused)
