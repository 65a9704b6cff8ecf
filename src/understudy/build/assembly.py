"""A run, wired together from its recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from understudy.build.aligned import in_its_own_tokens
from understudy.build.cluster import Gathering, check_on_ranks
from understudy.build.company import Company, company_of
from understudy.build.curriculum import Curriculum, Own, curriculum_of
from understudy.build.lessons import Lessons
from understudy.build.models import (
    Building,
    examinee_of,
    local_scorer,
    policy_of,
    reference_scorer,
    sampler_of,
    set_process,
    teacher_sampler,
)
from understudy.build.offline import take_rollouts
from understudy.build.sampling import Intake, check_overlap, intake_of, sampling_of, staleness_of
from understudy.build.teachers import Teaching, teaching_of, with_teacher
from understudy.build.writers import Cast, Keeping, writers_of
from understudy.build.writing_checks import writing_notices
from understudy.engines.local import InitialSampler, LocalPolicy
from understudy.engines.local.out_of_memory import Notice
from understudy.evaluation.examination import Exam, Examinee
from understudy.models.load import LoadedModel
from understudy.objectives.objective import Objective
from understudy.protocols import Scorer
from understudy.recipe import Recipe
from understudy.training.busy import Busy
from understudy.training.collecting import Collector
from understudy.training.columns import DRIFT_BOUNDS, Trust, check_needs
from understudy.training.step import Parts, StepSettings, expecting


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
    recipe: Recipe,
    own: Own | None = None,
    *,
    building: Building | None = None,
    keeping: Keeping | None = None,
    gathering: Gathering | None = None,
) -> Assembly:
    """Load the data and models that the recipe names, check that they fit, and wire the run.

    Args:
        own: what the caller brings instead. building: told of testbed models that are made now.
        keeping: where completions that are made once are kept; None keeps them in memory.
        gathering: the ranks of a cluster; None: this process alone.
    Raises:
        UserMistakeError: anything named is missing, broken, or does not fit the rest.
    """
    own, gathering = own or Own(), gathering or Gathering()
    set_process(recipe.engine)
    about = curriculum_of(recipe, own)
    company = company_of(recipe, own, about, building=building)
    recipe, objective = company.recipe, company.objective
    notice = keeping.display.notice if keeping else None
    if gathering.group is not None:
        check_on_ranks(objective)
    policy = policy_of(recipe, company.student, objective, notice=notice, group=gathering.group)
    check_overlap(recipe, objective.writing)
    sampling = sampling_of(recipe, policy, run=keeping.run if keeping else None, ranks=gathering.ranks)
    teaching = _teaching(own, about, company, policy, notice=notice)
    reference = company.served.reference or reference_scorer(recipe, policy, building, notice=notice)
    named = {"teacher": teaching.scorer, "reference": reference}
    scorers = {name: scorer for name, scorer in named.items() if scorer is not None}
    scorer = _examined_scorer(recipe, company.student, policy, gathering)
    student = examinee_of(company.student, sampling.exams, recipe.student.chat_template_kwargs, scorer=scorer)
    teacher = _teacher_examinee(recipe, company.taught, scorers)
    exams = [with_teacher(exam, teaching) for exam in about.exams]
    check_needs(objective, policy=policy, scorers=scorers)
    take_rollouts(recipe, keeping)
    cast = _cast(about, company, policy, student=replace(student, sampler=sampling.rollouts), teacher=teacher)
    collector = _collector(recipe, about, company, cast, keeping, gathering)
    intake = intake_of(recipe, collector, sampling, ranks=gathering.ranks)
    settings = _step_settings(recipe, about.lessons, gathering)
    parts = _parts(company, teaching, scorers, policy, cast=cast, intake=intake, settings=settings)
    notices = [*company.notices, *sampling.notices, *about.lessons.notices]
    notices += [*writing_notices(recipe, objective.writing), *teaching.notices]
    return Assembly(parts, policy, exams, student, teacher, about.lessons, notices)


def _parts(
    company: Company,
    teaching: Teaching,
    scorers: Mapping[str, Scorer],
    policy: LocalPolicy,
    *,
    cast: Cast,
    intake: Intake,
    settings: StepSettings,
) -> Parts:
    parts = Parts(
        collect=intake.collect,
        policy=policy,
        objective=company.objective,
        scorers=scorers,
        views=teaching.views,
        route=teaching.route,
        announce=intake.announce,
        # A sampler on a thread of its own works beside the step: how long it rests in one says nothing.
        busy=cast.busy if intake.ahead is None else Busy(),
        settings=settings,
        kept=intake.kept,
        close=intake.close,
    )
    if intake.ahead is not None:
        intake.ahead.ended = expecting(parts)
    return parts


def _teaching(own: Own, about: Curriculum, company: Company, policy: LocalPolicy, *, notice: Notice | None) -> Teaching:
    if own.teacher is not None:
        return Teaching(own.teacher)
    return teaching_of(
        company.recipe,
        about.lessons,
        policy=policy,
        taught=company.taught,
        alignments=company.alignments,
        served=company.served,
        shows_tasks=about.world is None,
        notice=notice,
    )


def _cast(
    about: Curriculum, company: Company, policy: LocalPolicy, *, student: Examinee, teacher: Examinee | None
) -> Cast:
    return Cast(
        student=student,
        teacher=teacher,
        environment=about.world or about.lessons.environment(),
        teacher_fingerprint=company.taught["teacher"].fingerprint if "teacher" in company.taught else "",
        initial=_initial_sampler(company.recipe, company.objective, policy),
    )


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


def _examined_scorer(recipe: Recipe, student: LoadedModel, policy: LocalPolicy, gathering: Gathering) -> Scorer | None:
    """The student for those who examine it; the first rank does that alone, so nothing there waits for the others."""
    if gathering.group is None:
        return policy
    if not gathering.is_first:
        return None
    return local_scorer(replace(student, model=policy.sampling_model), recipe.engine)  # type: ignore[arg-type]


def _collector(
    recipe: Recipe,
    about: Curriculum,
    company: Company,
    cast: Cast,
    keeping: Keeping | None,
    gathering: Gathering,
) -> Collector:
    objective, lessons = company.objective, about.lessons
    return Collector(
        tasks=lessons.tasks,
        seed=recipe.seed,
        prompts_per_step=recipe.rollout.prompts_per_step,
        num_generations=recipe.rollout.num_generations,
        write=writers_of(recipe, objective.writing, lessons, cast, keeping=keeping),
        mix=objective.mix,
        order=lessons.order,
        from_data=frozenset({"data", "teacher"} if recipe.data.has_teacher_text else {"data"}),
        rank=gathering.ranks.rank,
        num_ranks=gathering.ranks.size,
    )


def _step_settings(recipe: Recipe, lessons: Lessons, gathering: Gathering) -> StepSettings:
    rollout = recipe.rollout
    return StepSettings(
        seed=recipe.seed,
        total_steps=recipe.steps,
        temperature=rollout.temperature,
        trust=Trust(exact=rollout.top_p == 1 and rollout.top_k == 0, bound=DRIFT_BOUNDS[recipe.student.dtype]),
        world=gathering.world,
        ranks=gathering.ranks,
        domains=sorted({task.domain for task in lessons.tasks}),
        staleness=staleness_of(recipe),
    )
