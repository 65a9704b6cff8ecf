"""Rubrics marked by graders: votes, majorities, agreement, scores; and pairwise verdicts."""

from understudy.evaluation.grading.agreement import Agreement, agreement, fleiss_kappa
from understudy.evaluation.grading.bradley_terry import Strength, Verdict, rated, strengths
from understudy.evaluation.grading.grading import grade_folder
from understudy.evaluation.grading.rubric import Score, rubric_of, score_of
from understudy.evaluation.grading.rubric_files import rubrics_in
from understudy.evaluation.grading.settings import GraderSettings, Panel, load_panel
from understudy.evaluation.grading.votes import Vote, majority

__all__ = [
    "Agreement",
    "GraderSettings",
    "Panel",
    "Score",
    "Strength",
    "Verdict",
    "Vote",
    "agreement",
    "fleiss_kappa",
    "grade_folder",
    "load_panel",
    "majority",
    "rated",
    "rubric_of",
    "rubrics_in",
    "score_of",
    "strengths",
]
