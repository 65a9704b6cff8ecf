"""What a run is about, before any model is loaded: its objective, its world, its lessons and its exams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.build.data import EnvironmentFactory, exam_of
from understudy.build.lessons import Lessons, lessons_of
from understudy.build.servers import check_servers
from understudy.build.suites import suites_of
from understudy.build.teachers import check_are_routed
from understudy.build.worlds import check_graded, check_groups, world_of
from understudy.build.writing_checks import check_writing
from understudy.errors import RecipeError
from understudy.evaluation.examination import Exam
from understudy.objectives.methods import objective_of
from understudy.objectives.objective import Objective
from understudy.protocols import Scorer
from understudy.recipe import Recipe


@dataclass(frozen=True)
class Own:
    """What a Python caller brings in place of what the recipe names.

    Args:
        objective: any objective. environment: makes the world of one attempt. teacher: any scorer.
    """

    objective: Objective | None = None
    environment: EnvironmentFactory | None = None
    teacher: Scorer | None = None


@dataclass(frozen=True)
class Curriculum:
    """What is learned, from what, and how it is examined.

    Args:
        objective: tokens that it names by their text have no ids yet. world: None for a single turn.
        lessons: what is trained on. exams: the recipe's suites, in order.
    """

    objective: Objective
    world: EnvironmentFactory | None
    lessons: Lessons
    exams: Sequence[Exam]


def curriculum_of(recipe: Recipe, own: Own) -> Curriculum:
    """Read the recipe's data, and check all that can be checked without a model.

    Raises:
        UserMistakeError: anything named is missing, broken, or does not fit the rest.
    """
    objective = own.objective or objective_of(recipe.objective)
    _check_roles(recipe, objective, own)
    world = own.environment or world_of(recipe.environment)
    check_graded(recipe.objective.method, objective, recipe.data.parts, world=world)
    if own.objective is None:
        check_groups(recipe.objective.method, objective, num_generations=recipe.rollout.num_generations)
    lessons = lessons_of(recipe)
    _check_texts(recipe, objective, lessons)
    exams = [exam_of(suite, recipe, world) for suite in suites_of(recipe)]
    check_are_routed(lessons.tasks, recipe.teacher if own.teacher is None else None)
    check_servers(recipe, with_teacher=own.teacher is None)
    return Curriculum(objective, world, lessons, exams)


def _check_roles(recipe: Recipe, objective: Objective, own: Own) -> None:
    """Refuse, before anything is loaded, a recipe that lacks a model its method needs."""
    method = recipe.objective.method
    asked = objective.needs.scorers()
    if "teacher" in asked and recipe.teacher is None and own.teacher is None:
        raise RecipeError(
            f"method {method!r} needs a teacher",
            expected="a section 'teacher'",
            remedy="Add teacher: {model: ...}, or choose a method that learns from data alone, such as sft.",
        )
    check_writing(recipe, objective.writing)
    if "reference" in asked and recipe.reference is None:
        raise RecipeError(
            f"method {method!r} needs a reference", expected="a section 'reference'", remedy="Add reference: initial."
        )


def _check_texts(recipe: Recipe, objective: Objective, lessons: Lessons) -> None:
    """Every problem has the texts that the method learns from."""
    if objective.mix.data:
        for task in lessons.tasks:
            lessons.gold_completion(task)
    if objective.writing.needs_teacher_text and recipe.data.has_teacher_text:
        for task in lessons.tasks:
            lessons.teacher_text(task)
