"""A folder of office results graded: every task by every grader, side by side, kept as it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from understudy.errors import DataError
from understudy.evaluation.grading.asking import Grader
from understudy.evaluation.grading.judged import Judged, judged, lines_of, nothing_handed_in
from understudy.evaluation.grading.marking import Marked, mark
from understudy.evaluation.grading.office_tasks import FILE, OfficeResults, files_of, read_office_results
from understudy.evaluation.grading.report import Grading, report_of
from understudy.evaluation.grading.rubric import Criterion
from understudy.evaluation.grading.settings import Panel
from understudy.evaluation.grading.showing import HandedIn
from understudy.evaluation.grading.stored_votes import fingerprint, store, stored
from understudy.evaluation.suites import write_json
from understudy.servers.background import background

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
    tasks = [
        {**task, "rubric": by_task[name].rubric_json(), "score": by_task[name].score.score} if name in by_task else task
        for name, task in results.tasks.items()
    ]
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
    with_rubric = [name for name, found in lines.items() if found]
    if not with_rubric:
        raise DataError(
            f"no task of {results.folder} has a rubric",
            got=f"{len(results.tasks)} tasks",
            remedy="Name a file of rubrics with --rubrics; identifiers must be those of the tasks.",
        )
    graders = [Grader(settings) for settings in panel.graders]
    slots, files, resumed = asyncio.Semaphore(_TASKS_AT_ONCE), dict[str, Sequence[HandedIn]](), list[bool]()

    async def judge(name: str) -> Judged:
        async with slots:
            task, own = results.tasks[name], lines[name]
            files[name] = await asyncio.to_thread(files_of, results, name)
            scoring = str(task.get("scoring", "points"))
            if not files[name]:
                one = nothing_handed_in(name, own, scoring=scoring)
            else:
                asked = [line.criterion for line in own if line.decided is None]
                found = await asyncio.gather(
                    *(_marked(grader, results, name, criteria=asked, files=files[name]) for grader in graders)
                )
                resumed.extend(was_there for _, was_there in found)
                marked = {grader.settings.name: made for grader, (made, _) in zip(graders, found, strict=True)}
                one = judged(name, own, marked if asked else {}, scoring=scoring)
            files[name] = [
                HandedIn(file.name, None, file.problem) for file in files[name]
            ]  # the content has been shown
            if progress:
                progress(name)
            return one

    try:
        done = await asyncio.gather(*(judge(name) for name in with_rubric))
    finally:
        await asyncio.gather(*(grader.close() for grader in graders))
    return Grading(
        judged=tuple(done),
        graders=tuple(graders),
        files=files,
        without_rubric=tuple(name for name in lines if not lines[name]),
        missing=tuple(name for name in rubrics or () if name not in results.tasks),
        num_resumed=sum(resumed),
    )


async def _marked(
    grader: Grader, results: OfficeResults, name: str, *, criteria: Sequence[Criterion], files: Sequence[HandedIn]
) -> tuple[Marked, bool]:
    """The grader's votes, and whether they were there already."""
    if not criteria:
        return Marked(()), False
    prompt = str(results.tasks[name].get("prompt") or "")
    path = results.folder / _VOTES / grader.settings.name / f"{name}.json"
    under = fingerprint(grader.settings, prompt, criteria, files)
    if (found := stored(path, under)) is not None:
        return found, True
    made = await mark(grader, prompt, criteria, files)
    store(path, under, marked=made, task_id=name, settings=grader.settings)
    return made, False
