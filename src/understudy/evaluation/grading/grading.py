"""A folder of office results graded: every task by every grader, side by side, kept as it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from understudy.errors import DataError
from understudy.evaluation.deliverables.checks import checks_of
from understudy.evaluation.grading.asking import Grader
from understudy.evaluation.grading.judged import NOTHING, UNFINISHED, Judged, Line, judged, lines_of, nothing_to_judge
from understudy.evaluation.grading.marking import Marked, mark
from understudy.evaluation.grading.office_tasks import FILE, OfficeResults, files_of, read_office_results
from understudy.evaluation.grading.report import Grading, report_of
from understudy.evaluation.grading.settings import Panel
from understudy.evaluation.grading.showing import HandedIn
from understudy.evaluation.grading.stored_votes import fingerprint, store, stored
from understudy.evaluation.suites import write_json
from understudy.servers.background import background
from understudy.tasks.office import Criterion

REPORT = "grading.json"
_VOTES = "grading"
_TASKS_AT_ONCE = 8
"""Whose files are in memory together."""

Progress = Callable[[str], None]


def grade_folder(
    folder: Path,
    panel: Panel,
    *,
    rubrics: Mapping[str, Sequence[Criterion]] | None = None,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Grade ``FOLDER/results.json``; scores and votes go back into it, the account of it into ``grading.json``.

    The votes of each grader are kept in ``FOLDER/grading/GRADER/TASK.json`` as they come, and not asked for again.

    Args:
        rubrics: by task; None takes those of ``results.json``. progress: told each task's identifier when it is done.
    Returns:
        The content of ``grading.json``.
    Raises:
        DataError: there are no results, or no task of them has a rubric. ServerKeyError: a key is not set.
    """
    results = read_office_results(folder)
    grading = background().run(_graded(results, panel, rubrics, progress))
    by_task = {one.task_id: one for one in grading.judged}
    tasks = []
    for name, task in results.tasks.items():
        graded = {**task, "checks": {**(task.get("checks") or {}), **grading.checks[name]}}
        if name in by_task:
            graded |= {"rubric": by_task[name].rubric_json(), "score": by_task[name].score.score}
        tasks.append(graded)
    write_json({**results.record, "tasks": tasks}, folder / FILE)
    report = report_of(grading, panel)
    write_json(report, folder / REPORT)
    return report


async def _graded(
    results: OfficeResults,
    panel: Panel,
    rubrics: Mapping[str, Sequence[Criterion]] | None,
    progress: Progress | None,
) -> Grading:
    lines = {
        name: lines_of(task, None if rubrics is None else rubrics.get(name, ())) for name, task in results.tasks.items()
    }
    if not any(lines.values()):
        raise DataError(
            f"no task of {results.folder} has a rubric",
            got=f"{len(results.tasks)} tasks",
            remedy="Name a file of rubrics with --rubrics; identifiers must be those of the tasks.",
        )
    graders = [Grader(settings) for settings in panel.graders]
    desk = _Desk(results, graders)
    slots = asyncio.Semaphore(_TASKS_AT_ONCE)

    async def judge(name: str) -> Judged | None:
        async with slots:
            one = await desk.judge(name, lines[name])
            if progress:
                progress(name)
            return one

    try:
        done = await asyncio.gather(*(judge(name) for name in results.tasks))
    finally:
        await asyncio.gather(*(grader.close() for grader in graders))
    return Grading(
        judged=tuple(one for one in done if one is not None),
        graders=tuple(graders),
        unreadable=desk.unreadable,
        checks=desk.checks,
        without_rubric=tuple(name for name in lines if not lines[name]),
        missing=tuple(name for name in rubrics or () if name not in results.tasks),
        failed=tuple(desk.failed),
        num_resumed=desk.num_resumed,
    )


class _Desk:
    """Where tasks are judged one by one.

    Attributes:
        unreadable: the files of each task that could not be read. checks: of each task. failed: tasks
            whose attempt met an error. num_resumed: votes found kept.
    """

    def __init__(self, results: OfficeResults, graders: Sequence[Grader]) -> None:
        self._results, self._graders = results, graders
        self.unreadable = dict[str, Sequence[HandedIn]]()
        self.checks = dict[str, Mapping[str, float]]()
        self.failed = list[str]()
        self.num_resumed = 0

    async def judge(self, name: str, lines: Sequence[Line]) -> Judged | None:
        """The task with its verdicts; None where it has no rubric or met an error, and only its files are looked at."""
        task = self._results.tasks[name]
        files = await asyncio.to_thread(files_of, self._results, name)
        read = [file.read for file in files if file.read is not None]
        self.unreadable[name] = [file for file in files if file.read is None]
        prompt = str(task.get("prompt") or "")
        self.checks[name] = checks_of(read, prompt=prompt, num_unreadable=len(self.unreadable[name]))
        scoring = str(task.get("scoring", "points"))
        if task.get("error"):
            self.failed.append(name)
        if not lines or task.get("error"):
            return None
        if not files or task.get("finished") is False:
            return nothing_to_judge(name, lines, why=UNFINISHED if files else NOTHING)
        asked = [line.criterion for line in lines if line.decided is None]
        found = await asyncio.gather(
            *(_marked(one, self._results, name, criteria=asked, files=files) for one in self._graders if asked)
        )
        self.num_resumed += sum(was_there for _, was_there in found)
        names = [grader.settings.name for grader in self._graders]
        return judged(name, lines, dict(zip(names, (made for made, _ in found), strict=False)), scoring=scoring)


async def _marked(
    grader: Grader, results: OfficeResults, name: str, *, criteria: Sequence[Criterion], files: Sequence[HandedIn]
) -> tuple[Marked, bool]:
    """The grader's votes, and whether they were there already."""
    prompt = str(results.tasks[name].get("prompt") or "")
    path = results.folder / _VOTES / grader.settings.name / f"{name}.json"
    under = fingerprint(grader.settings, prompt, criteria, files)
    if (found := stored(path, under)) is not None:
        return found, True
    made = await mark(grader, prompt, criteria, files)
    store(path, under, marked=made, task_id=name, settings=grader.settings)
    return made, False
