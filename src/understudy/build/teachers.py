"""From the section ``teacher`` to the scorer that answers, what it reads, and who answers for which problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from understudy.build.aligned import Alignments, refuse_partial
from understudy.build.lessons import Lessons
from understudy.build.models import local_scorer
from understudy.build.offline import stored_teacher
from understudy.build.privileges import Privileged, privileged
from understudy.build.servers import Connections
from understudy.engines.local import LocalPolicy
from understudy.errors import RecipeError
from understudy.evaluation.examination import Exam
from understudy.models.load import LoadedModel
from understudy.protocols import Scorer, Task, View
from understudy.recipe import (
    AnyTeacher,
    MixedTeachers,
    Recipe,
    RoutedTeachers,
    ServedTeacher,
    StoredScores,
    Teacher,
    views_of,
)
from understudy.rollouts import Rollout
from understudy.tasks.templates import missing_column, text_of
from understudy.teachers import CachedScorer, MixedScorer, RoutedScorer
from understudy.teachers.mixture import Share
from understudy.teachers.routed import check_routes, routed_view
from understudy.training.step import by_domain

Route = Callable[[Rollout], str]


@dataclass(frozen=True, eq=False)
class Teaching:
    """Who teaches in a run.

    Args:
        scorer: None where nobody does. view: what it reads in place of the student's contexts; None for these.
        section: what it was made of; None for one that the caller brought. notices: what the user should know.
    """

    scorer: Scorer | None
    view: View | None = None
    section: AnyTeacher | None = None
    notices: Sequence[str] = ()

    @property
    def route(self) -> Route:
        """Which of several teachers answers for a rollout."""
        return route_of(self.section)

    @property
    def views(self) -> dict[str, View]:
        """The view, under the teacher's name."""
        return {} if self.view is None else {"teacher": self.view}


def teaching_of(
    recipe: Recipe,
    lessons: Lessons,
    *,
    policy: LocalPolicy,
    taught: Mapping[str, LoadedModel],
    alignments: Alignments,
    served: Connections,
    shows_tasks: bool = True,
    notice: Callable[[str], None] | None = None,
) -> Teaching:
    """The recipe's teacher, checked on its problems.

    Args:
        policy: answers where the teacher is the student itself. taught: the other models, by ``Recipe.teachers``.
        alignments: those of them that have another tokenizer. served: those behind servers.
        shows_tasks: the student reads the tasks' prompts as they are; false where an environment makes its own.
        notice: told when a teacher of this process ran out of memory and what helped.
    Raises:
        UserMistakeError: a view finds nothing to tell in any problem, or its prompts cannot be encoded.
    """
    if isinstance(recipe.teacher, StoredScores):
        stored = stored_teacher(recipe.teacher, policy.loaded)
        return Teaching(stored, stored.view(), recipe.teacher)
    view, told = _view_and_privileges(recipe, lessons, policy.loaded, taught, alignments, served)
    notices = teacher_notices(recipe)
    for one in told:
        notices += one.check(lessons)
        if shows_tasks:
            one.check_prompts()
    scorer = teacher_scorer(recipe, policy, taught=taught, alignments=alignments, served=served, notice=notice)
    return Teaching(scorer, view, recipe.teacher, notices)


def teacher_scorer(
    recipe: Recipe,
    policy: LocalPolicy,
    *,
    taught: Mapping[str, LoadedModel],
    alignments: Alignments,
    served: Connections,
    notice: Callable[[str], None] | None = None,
) -> Scorer | None:
    """The recipe's teacher, whatever it is made of; None where there is none. ``notice`` as in ``teaching_of``."""
    section = recipe.teacher
    members = {} if section is None else section.members

    def member(name: str, one: Teacher | ServedTeacher) -> Scorer:
        model = taught.get(name)
        local = None if model is None else local_scorer(model, recipe.engine, notice=notice)
        return alignments.scorer(name, _member(one, served.teachers.get(name) or local, policy))

    scorers = [member(name, one) for name, one in members.items()]
    if isinstance(section, RoutedTeachers):
        return RoutedScorer(dict(zip(section.routes, scorers, strict=True)))
    if isinstance(section, MixedTeachers):
        weights = [part.weight for part in section.mixture]
        return MixedScorer([Share(*pair) for pair in zip(scorers, weights, strict=True)])
    return scorers[0] if scorers else None


def _member(section: Teacher | ServedTeacher, known: Scorer | None, policy: LocalPolicy) -> Scorer:
    """``known``, or the student itself."""
    if isinstance(section, ServedTeacher):
        assert known is not None, "every server was connected"
        scorer = known
    else:
        scorer = known or policy.scorer(section.resolved_weights)
    return CachedScorer(scorer) if section.cache else scorer


def _view_and_privileges(
    recipe: Recipe,
    lessons: Lessons,
    student: LoadedModel,
    taught: Mapping[str, LoadedModel],
    alignments: Alignments,
    served: Connections,
) -> tuple[View | None, list[Privileged]]:
    """What the teacher reads in place of the student's contexts (None: it reads these), and what it is told by whom."""
    section = recipe.teacher
    names = [] if section is None else list(section.members)
    limits = [served.max_length(name, taught.get(name, student).max_length) for name in names]
    make = partial(privileged, recipe=recipe, lessons=lessons, student=student)
    if isinstance(section, RoutedTeachers):
        by_route = {
            route: alignments.told(name, make(one.view, _on_route(section, route, lessons.tasks), max_length=limit))
            for (route, one), name, limit in zip(section.routes.items(), names, limits, strict=True)
            if one.view or name in alignments.teachers
        }
        views = {route: alignments.view(f"teacher/{route}", one.privilege) for route, one in by_route.items()}
        return (routed_view(views, route_of(section)) if views else None), list(by_route.values())
    if section is None or isinstance(section, StoredScores):
        return None, []
    if not (section.view or "teacher" in alignments.teachers):
        return None, []
    one = alignments.told("teacher", make(section.view, lessons.tasks, max_length=min(limits)))
    return alignments.view("teacher", one.privilege), [one]


def _on_route(section: RoutedTeachers, route: str, tasks: Sequence[Task]) -> list[Task]:
    return [task for task in tasks if _route_in(section, task.domain, task.columns) == route]


def route_of(section: AnyTeacher | None) -> Route:
    """Which of several teachers answers for a rollout: the one of its domain, or of a column's value."""
    if not isinstance(section, RoutedTeachers):
        return by_domain
    return lambda rollout: _route_in(section, rollout.domain, rollout.extra)


def _route_in(section: RoutedTeachers, domain: str, columns: Mapping[str, object]) -> str:
    return domain if section.by == "domain" else str(columns.get(section.by, ""))


def check_are_routed(tasks: Iterable[Task], section: AnyTeacher | None) -> None:
    """Every problem must have a teacher.

    Raises:
        DataError: a problem lacks the column that names its route. RecipeError: no teacher has a problem's route.
    """
    if not isinstance(section, RoutedTeachers):
        return
    for task in tasks:
        if section.by != "domain":
            if section.by not in task.columns:
                raise missing_column(section.by, task.columns)
            text_of(task.columns, section.by)
        check_routes([_route_in(section, task.domain, task.columns)], section.routes)


def with_teacher(exam: Exam, teaching: Teaching) -> Exam:
    """An exam that knows the teacher, for suites that compare with it.

    A suite whose name is a route is that teacher's; otherwise its problems have routes as the lessons have.

    Raises:
        RecipeError: a suite of kind ``reverse_kl`` whose teacher reads more than the student, or has another route.
    """
    exam, teacher = replace(exam, teacher=teaching.scorer), teaching.scorer
    if exam.suite.kind != "reverse_kl":
        return exam
    name = exam.suite.name
    if views_of(teaching.section):
        raise RecipeError(
            f"suite {name!r} of kind 'reverse_kl' cannot ask a teacher that has a view",
            expected="a teacher that reads what the student reads",
            remedy="Leave the suite out; kl/reverse_k1 in the metrics is measured with the view.",
        )
    refuse_partial(teacher, suite=name)
    if not isinstance(teacher, RoutedScorer):
        return exam
    if name in teacher.scorers:
        return replace(exam, route=lambda _: name)
    check_are_routed(exam.tasks, teaching.section)
    return replace(exam, route=teaching.route)


def teacher_notices(recipe: Recipe) -> list[str]:
    """What the user should know of a teacher that can teach nothing."""
    section = recipe.teacher
    names = [name for name, one in recipe.teachers.items() if _is_live_self(one) and not one.view]
    if isinstance(section, MixedTeachers):
        names = ["teacher"] if len(names) == len(section.mixture) and not section.view else []
    return [
        f"The {name} is the student itself with the same weights and the same prompt: every comparison of the two is "
        "exactly zero. Give it a view, or weights: initial or ema."
        for name in names
    ]


def _is_live_self(teacher: Teacher) -> bool:
    return teacher.is_self and teacher.resolved_weights == "live"
