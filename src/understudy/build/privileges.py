"""From the views of a recipe to what a teacher is told, checked on the problems before step 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.build.lessons import Lessons
from understudy.errors import DataError
from understudy.models.load import LoadedModel
from understudy.protocols import Task
from understudy.recipe import Recipe, View
from understudy.rollouts import Rollout
from understudy.tasks.templates import missing_column, parse_template
from understudy.teachers.hints import Hint, column, column_text, demonstration, fixed, successful_peer
from understudy.teachers.insertion import as_system, by_template
from understudy.teachers.privileged import Privilege, Telling


@dataclass(frozen=True, eq=False)
class Privileged:
    """What a teacher is told of some problems.

    Args:
        views: of the recipe. privilege: made of them. tasks: the problems.
    """

    views: Sequence[View]
    privilege: Privilege
    tasks: Sequence[Task]

    def check(self, lessons: Lessons) -> list[str]:
        """Find before step 0 what would leave the teacher without anything to read; gives notices for the user.

        Raises:
            DataError: a view that reads the data finds nothing in any problem, or its column holds no text.
        """
        notices = []
        for view in self.views:
            if view.kind in ("solution", "demonstration") and self.tasks:
                missing = sum(_text_in(view, lessons, task) is None for task in self.tasks)
                if missing == len(self.tasks):
                    raise _nothing(view, self.tasks[0])
                if missing:
                    notices.append(
                        f"The teacher's view of kind {view.kind} has nothing to tell in {missing:,} of "
                        f"{len(self.tasks):,} problems; their rollouts get no row."
                    )
        return notices

    def check_prompts(self) -> None:
        """Make ids of a told prompt; raises DataError where the chat template refuses it."""
        for task in self.tasks[:1]:
            prompt = self.privilege.told(task.prompt, ["."] * len(self.views))
            assert prompt is not None, "every text is there"
            self.privilege.encode(prompt)


def privileged(
    views: Sequence[View],
    tasks: Sequence[Task],
    *,
    recipe: Recipe,
    lessons: Lessons,
    student: LoadedModel,
    max_length: int,
) -> Privileged:
    """What the views tell of these tasks to a teacher with a context of ``max_length`` tokens."""
    privilege = Privilege(
        tellings=[_telling(view, lessons, student) for view in views],
        tokenizer=student.known_tokenizer,
        max_length=max_length,
        chat_template_kwargs=recipe.student.chat_template_kwargs,
    )
    return Privileged(views, privilege, tasks)


def _telling(view: View, lessons: Lessons, student: LoadedModel) -> Telling:
    if view.kind == "system":
        return Telling(fixed(view.text or ""), as_system)
    template = parse_template(view.resolved_template, field="teacher.view.template")
    return Telling(_hint(view, lessons, student), by_template(template))


def _hint(view: View, lessons: Lessons, student: LoadedModel) -> Hint:
    if view.kind == "peers":
        return successful_peer(student.known_tokenizer, success=view.success)
    if view.kind == "demonstration":
        return demonstration(lambda rollout: _gold(lessons, _task_of(rollout)))
    return column(view.resolved_column, after="reward" if view.kind == "feedback" else "rollout")


def _task_of(rollout: Rollout) -> Task:
    return Task(rollout.problem, "", rollout.extra, domain=rollout.domain)


def _gold(lessons: Lessons, task: Task) -> str | None:
    try:
        return lessons.gold_completion(task)
    except DataError:  # the row has none; rows that cannot be read were refused when the data was loaded
        return None


def _text_in(view: View, lessons: Lessons, task: Task) -> str | None:
    if view.kind == "demonstration":
        return _gold(lessons, task)
    return column_text(task.columns, view.resolved_column)


def _nothing(view: View, task: Task) -> DataError:
    what = f"the teacher's view of kind {view.kind!r} has nothing to tell"
    if view.kind == "demonstration":
        return DataError(what, got="no gold completion in any problem", remedy="Set data.completion to a template.")
    name = view.resolved_column
    if name in task.columns:
        return DataError(what, got=f"nothing in column {name!r} of any problem")
    missing = missing_column(name, task.columns)
    return DataError(
        what, got=missing.what, expected=missing.expected, remedy=missing.remedy or "Name it in teacher.view.column."
    )
