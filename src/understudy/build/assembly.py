"""A run, wired together from its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from understudy.build.aligned import Alignments, alignments_of, check_aligned_prompts, in_its_own_tokens
from understudy.build.data import EnvironmentFactory, check_lengths, check_teacher_reads, exam_of, suites_of
from understudy.build.lessons import Lessons, lessons_of
from understudy.build.memory_plan import ASSUMED_PROMPT_TOKENS, settle_loaded
from understudy.build.models import (
    Building,
    examinee_of,
    load_models,
    policy_of,
    reference_scorer,
    sampler_of,
    set_threads,
    teacher_sampler,
)
from understudy.build.offline import take_rollouts
from understudy.build.servers import Connections, check_served_reads, check_servers, connections_of, cut_to_shared
from understudy.build.teachers import Teaching, check_are_routed, teaching_of, with_teacher
from understudy.build.worlds import check_graded, world_of
from understudy.build.writers import Cast, Keeping, writers_of
from understudy.build.writing_checks import check_writing, writing_notices
from understudy.engines.local import InitialSampler, LocalPolicy
from understudy.errors import RecipeError
from understudy.evaluation.examination import Exam, Examinee
from understudy.models.load import LoadedModel
from understudy.models.tokenizers import token_id
from understudy.objectives.methods import objective_of
from understudy.objectives.objective import Objective
from understudy.protocols import Scorer
from understudy.recipe import Recipe
from understudy.training.collecting import Collector, Write, Writer
from understudy.training.columns import DRIFT_BOUNDS, Trust, check_needs
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
        lessons: what is trained on. notices: what the user should know before it begins.
    """

    parts: Parts
    policy: LocalPolicy
    exams: Sequence[Exam]
    student: Examinee
    teacher: Examinee | None
    lessons: Lessons
    notices: Sequence[str] = ()


def assemble(
    recipe: Recipe, own: Own | None = None, *, building: Building | None = None, keeping: Keeping | None = None
) -> Assembly:
    """Load the data and models that the recipe names, check that they fit, and wire the run.

    Args:
        own: what the caller brings instead. building: told of testbed models that are made now.
        keeping: where completions that are made once are kept; None keeps them in memory.
    Raises:
        UserMistakeError: anything named is missing, broken, or does not fit the rest.
    """
    own = own or Own()
    set_threads(recipe.engine)
    objective = own.objective or objective_of(recipe.objective)
    _check_roles(recipe, objective, own)
    world = own.environment or world_of(recipe.environment)
    check_graded(recipe.objective.method, objective, recipe.data.parts, world=world)
    lessons = lessons_of(recipe)
    _check_texts(recipe, objective, lessons)
    exams = [exam_of(suite, recipe, world) for suite in suites_of(recipe)]
    check_are_routed(lessons.tasks, recipe.teacher if own.teacher is None else None)
    wants_teacher = own.teacher is None or objective.writing.needs_teacher_text
    check_servers(recipe, with_teacher=own.teacher is None)
    loaded, taught = load_models(recipe, with_teacher=wants_teacher, building=building)
    served = connections_of(recipe, loaded, with_teacher=own.teacher is None)
    alignments = alignments_of(recipe, objective, loaded, taught, served.foreign)
    taught = {name: one if name in alignments.teachers else cut_to_shared(one, served) for name, one in taught.items()}
    loaded = cut_to_shared(loaded, served)
    longest = ASSUMED_PROMPT_TOKENS
    if world is None:
        longest = _check_prompts_fit(
            recipe, lessons, exams, loaded=loaded, taught=taught, aligned=alignments, served=served
        )
    if own.objective is None:
        objective = objective_of(recipe.objective.with_token_ids(partial(token_id, loaded.known_tokenizer)))
    settled = settle_loaded(recipe, objective, loaded, taught, prompt_tokens=longest)
    recipe = settled.recipe
    notice = keeping.display.notice if keeping else None
    policy = policy_of(recipe, loaded, objective, notice=notice)
    sampler = sampler_of(policy.model, loaded, recipe.engine, recipe.student.dtype)
    teaching = Teaching(own.teacher)
    if own.teacher is None:
        teaching = teaching_of(
            recipe,
            lessons,
            policy=policy,
            taught=taught,
            alignments=alignments,
            served=served,
            shows_tasks=world is None,
            notice=notice,
        )
    reference = served.reference or reference_scorer(recipe, policy, building, notice=notice)
    named = {"teacher": teaching.scorer, "reference": reference}
    scorers = {name: scorer for name, scorer in named.items() if scorer is not None}
    student = examinee_of(loaded, sampler, recipe.student.chat_template_kwargs, scorer=policy)
    teacher = _teacher_examinee(recipe, taught, scorers)
    exams = [with_teacher(exam, teaching) for exam in exams]
    check_needs(objective, policy=policy, scorers=scorers)
    take_rollouts(recipe, keeping)
    cast = Cast(
        student=student,
        teacher=teacher,
        environment=world or lessons.environment(),
        teacher_fingerprint=taught["teacher"].fingerprint if "teacher" in taught else "",
        initial=_initial_sampler(recipe, objective, policy),
    )
    write = writers_of(recipe, objective.writing, lessons, cast, keeping=keeping)
    parts = Parts(
        collect=_collector(recipe, objective, lessons, write),
        policy=policy,
        objective=objective,
        scorers=scorers,
        views=teaching.views,
        route=teaching.route,
        announce=partial(sampler.load_weights, None),
        settings=_step_settings(recipe, lessons),
    )
    notices = [*served.notices, *lessons.notices, *writing_notices(recipe, objective.writing), *teaching.notices]
    return Assembly(parts, policy, exams, student, teacher, lessons, [*settled.notices, *notices])


def _check_texts(recipe: Recipe, objective: Objective, lessons: Lessons) -> None:
    """Every problem has the texts that the method learns from."""
    if objective.mix.data:
        for task in lessons.tasks:
            lessons.gold_completion(task)
    if objective.writing.needs_teacher_text and recipe.data.has_teacher_text:
        for task in lessons.tasks:
            lessons.teacher_text(task)


def _check_prompts_fit(
    recipe: Recipe,
    lessons: Lessons,
    exams: Sequence[Exam],
    *,
    loaded: LoadedModel,
    taught: Mapping[str, LoadedModel],
    aligned: Alignments,
    served: Connections,
) -> int:
    """The longest prompt of the lessons in tokens."""
    longest = check_lengths(recipe, loaded, lessons.tasks)
    for exam in exams:
        check_lengths(recipe, loaded, exam.tasks)
    check_served_reads(recipe, loaded, served, longest_prompt=longest)
    for name, words in aligned.teachers.items():
        check_aligned_prompts(recipe, words, lessons.tasks, name=name)
    for name, model in taught.items():
        if name not in aligned.teachers:
            check_teacher_reads(recipe, loaded, model, longest_prompt=longest, name=name)
    return longest


def _initial_sampler(recipe: Recipe, objective: Objective, policy: LocalPolicy) -> InitialSampler | None:
    if objective.writing.weights != "initial":
        return None
    return InitialSampler(policy, sampler_of(policy.model, policy.loaded, recipe.engine, recipe.student.dtype))


def _teacher_examinee(
    recipe: Recipe, taught: Mapping[str, LoadedModel], scorers: Mapping[str, Scorer]
) -> Examinee | None:
    model = taught.get("teacher")
    if model is None:
        return None
    sampler = teacher_sampler(model, recipe.engine)
    scorer = in_its_own_tokens(scorers["teacher"])
    return examinee_of(model, sampler, recipe.student.chat_template_kwargs, scorer=scorer)


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


def _collector(recipe: Recipe, objective: Objective, lessons: Lessons, write: dict[Writer, Write]) -> Collector:
    return Collector(
        tasks=lessons.tasks,
        seed=recipe.seed,
        prompts_per_step=recipe.rollout.prompts_per_step,
        num_generations=recipe.rollout.num_generations,
        write=write,
        mix=objective.mix,
        order=lessons.order,
        from_data=frozenset({"data", "teacher"} if recipe.data.has_teacher_text else {"data"}),
    )


def _step_settings(recipe: Recipe, lessons: Lessons) -> StepSettings:
    rollout = recipe.rollout
    return StepSettings(
        seed=recipe.seed,
        total_steps=recipe.steps,
        temperature=rollout.temperature,
        trust=Trust(exact=rollout.top_p == 1 and rollout.top_k == 0, bound=DRIFT_BOUNDS[recipe.student.dtype]),
        domains=sorted({task.domain for task in lessons.tasks}),
    )
