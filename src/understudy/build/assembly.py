"""A run, wired together from its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from understudy.build.data import EnvironmentFactory, check_lengths, check_teacher_reads, exam_of, suites_of
from understudy.build.lessons import Lessons, lessons_of
from understudy.build.models import Building, examinee_of, load_pair, policy_of, sampler_of, scorers_of, set_threads
from understudy.build.writers import writers_of
from understudy.engines.local import LocalPolicy
from understudy.errors import RecipeError
from understudy.evaluation.examination import Exam, Examinee
from understudy.models.load import LoadedModel
from understudy.objectives.methods import objective_of
from understudy.objectives.objective import Objective
from understudy.protocols import Scorer
from understudy.recipe import Recipe
from understudy.training.collecting import Collector, Write, Writer
from understudy.training.columns import Trust, check_needs
from understudy.training.step import Parts, StepSettings


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
class Assembly:
    """A run, wired together.

    Args:
        parts: of every step. policy: the student. exams: the recipe's suites, in order.
        student: the examinee. teacher: the examinee; None where the teacher is no model in this process.
        lessons: what is trained on.
    """

    parts: Parts
    policy: LocalPolicy
    exams: Sequence[Exam]
    student: Examinee
    teacher: Examinee | None
    lessons: Lessons


def assemble(recipe: Recipe, own: Own | None = None, *, building: Building | None = None) -> Assembly:
    """Load the data and models that the recipe names, check that they fit, and wire the run.

    Args:
        own: what the caller brings instead. building: told of testbed models that are made now.
    Raises:
        UserMistakeError: anything named is missing, broken, or does not fit the rest.
    """
    own = own or Own()
    set_threads(recipe.engine)
    objective = own.objective or objective_of(recipe.objective)
    _check_roles(recipe, objective, own)
    lessons = lessons_of(recipe)
    if objective.mix.data:
        for task in lessons.tasks:
            lessons.gold_completion(task)
    exams = [exam_of(suite, recipe, own.environment) for suite in suites_of(recipe)]
    loaded, taught = load_pair(recipe, with_teacher=own.teacher is None, building=building)
    if own.environment is None:
        longest = check_lengths(recipe, loaded, lessons.tasks)
        for exam in exams:
            check_lengths(recipe, loaded, exam.tasks)
        if taught is not None:
            check_teacher_reads(recipe, loaded, taught, longest_prompt=longest)
    policy = policy_of(recipe, loaded, objective)
    sampler = sampler_of(policy.model, loaded, recipe.engine, recipe.student.dtype)
    scorers = scorers_of(recipe, policy, taught, building)
    if own.teacher is not None:
        scorers["teacher"] = own.teacher
    student = examinee_of(loaded, sampler, recipe.student.chat_template_kwargs, scorer=policy)
    teacher = _teacher_examinee(recipe, taught, scorers)
    exams = [replace(exam, teacher=scorers.get("teacher")) for exam in exams]
    check_needs(objective, policy=policy, scorers=scorers)
    write = writers_of(recipe, objective.mix, lessons, student=student, teacher=teacher, environment=own.environment)
    parts = Parts(
        collect=_collector(recipe, objective, lessons, write),
        policy=policy,
        objective=objective,
        scorers=scorers,
        announce=partial(sampler.load_weights, None),
        settings=_step_settings(recipe),
    )
    return Assembly(parts, policy, exams, student, teacher, lessons)


def _teacher_examinee(recipe: Recipe, taught: LoadedModel | None, scorers: Mapping[str, Scorer]) -> Examinee | None:
    if taught is None:
        return None
    sampler = sampler_of(taught.model, taught, recipe.engine)
    return examinee_of(taught, sampler, recipe.student.chat_template_kwargs, scorer=scorers["teacher"])


def _check_roles(recipe: Recipe, objective: Objective, own: Own) -> None:
    """Refuse, before anything is loaded, a recipe that lacks a model its method needs."""
    method = recipe.objective.method
    asked = objective.needs.scorers() | ({"teacher"} if objective.writing.needs_teacher_text else frozenset())
    if "teacher" in asked and recipe.teacher is None and own.teacher is None:
        raise RecipeError(
            f"method {method!r} needs a teacher",
            expected="a section 'teacher'",
            remedy="Add teacher: {model: ...}, or choose a method that learns from data alone, such as sft.",
        )
    if objective.writing.needs_teacher_text and recipe.teacher is None:
        raise RecipeError(f"method {method!r} needs a teacher that writes", expected="teacher.model, a local model")
    if "reference" in asked and recipe.reference is None:
        raise RecipeError(
            f"method {method!r} needs a reference", expected="a section 'reference'", remedy="Add reference: initial."
        )


def _collector(recipe: Recipe, objective: Objective, lessons: Lessons, write: dict[Writer, Write]) -> Collector:
    return Collector(
        tasks=lessons.tasks,
        seed=recipe.seed,
        prompts_per_step=recipe.rollout.prompts_per_step,
        num_generations=recipe.rollout.num_generations,
        write=write,
        mix=objective.mix,
        order=lessons.order,
    )


def _step_settings(recipe: Recipe) -> StepSettings:
    rollout = recipe.rollout
    return StepSettings(
        seed=recipe.seed,
        total_steps=recipe.steps,
        temperature=rollout.temperature,
        trust=Trust(exact=rollout.top_p == 1 and rollout.top_k == 0),
    )
