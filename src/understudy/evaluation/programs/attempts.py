"""Attempts at office tasks, judged by programs."""

from __future__ import annotations

from understudy.environments.office import Attempt, Graded
from understudy.evaluation.programs.judging import Verdict, judge, score_of
from understudy.tasks.office import OfficeTask


def judge_attempt(task: OfficeTask, attempt: Attempt) -> list[Verdict]:
    """Verdicts of programs; where nothing was handed in, nothing is met, whatever stood in the workspace before.

    Raises:
        DataError: a check of the task cannot be carried out.
    """
    if not attempt.handed_in:
        why = "nothing was handed in" if attempt.has_finished else "the agent did not finish"
        return [Verdict(line.id, False, why) for line in task.rubric]
    return judge(task.rubric, attempt.folder, task.files)


def grade_by_programs(task: OfficeTask, attempt: Attempt) -> Graded:
    """The score by programs, for training: nothing is kept."""
    return Graded(score_of(task.rubric, judge_attempt(task, attempt), task.scoring))
