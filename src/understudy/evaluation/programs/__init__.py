"""Programs that judge what an agent has left in its workspace, without a grader."""

from understudy.evaluation.programs.attempts import grade_by_programs, judge_attempt
from understudy.evaluation.programs.judging import Verdict, judge, score_of

__all__ = ["Verdict", "grade_by_programs", "judge", "judge_attempt", "score_of"]
