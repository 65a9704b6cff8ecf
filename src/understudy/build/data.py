"""The problems of a run: what is trained on and what is examined."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.build.worlds import EnvironmentFactory, world_of
from understudy.errors import ContextLengthError, DataError, RecipeError
from understudy.evaluation.examination import Exam
from understudy.models.chat import encode_prompt
from understudy.models.load import LoadedModel
from understudy.protocols import Task
from understudy.recipe import Recipe, Source, Suite
from understudy.tasks import Loaded, gold_completion, load, verifier_from
from understudy.testbed import is_testbed
from understudy.testbed import tasks as testbed_tasks


def tasks_of(source: Source) -> list[Task]:
    """The problems of one of a recipe's data sets or suites."""
    return load_problems(source).tasks


def load_problems(source: Source) -> Loaded:
    """The same, with what became of the data set's rows."""
    if is_testbed(source.dataset):
        _refuse_unread(source)
        tasks = testbed_tasks(source.dataset, source.split, limit=source.limit)
        return Loaded(tasks, len(tasks))
    return load(source)


def _refuse_unread(source: Source) -> None:
    """The testbed makes its problems whole; what would change them is not left aside without a word."""
    unread = [name for name in ("prompt", "filter", "options") if getattr(source, name)]
    if unread:
        raise RecipeError(
            f"{source.dataset} makes its own problems: {unread[0]} would change nothing",
            remedy=f"Leave out {unread[0]}, or name a file of your own as dataset.",
        )


def exam_of(suite: Suite, recipe: Recipe | None = None, environment: EnvironmentFactory | None = None) -> Exam:
    """A suite with its problems and verifier; the run's environment and limits where the suite has none of its own.

    Raises:
        DataError: the problems cannot be read, or nothing grades them.
    """
    environment = environment if suite.environment is None else world_of(suite.environment)
    max_turns = 1 if recipe is None else recipe.rollout.max_turns
    max_turns = max_turns if suite.environment is None else suite.environment.num_turns
    tasks, verifier = tasks_of(suite), verifier_from(suite.verifier, suite.gold_column)
    if verifier is None and environment is None and suite.kind == "accuracy":
        raise DataError(
            f"nothing grades suite {suite.name}",
            expected="a verifier",
            remedy="Give it verifier: exact, numeric or math.",
        )
    completions = [gold_completion(suite, task) for task in tasks] if suite.kind == "nll" else []
    if recipe is None:
        return Exam(suite, tasks, verifier, environment=environment, max_turns=max_turns, completions=completions)
    return Exam(
        suite,
        tasks,
        verifier,
        environment=environment,
        max_completion_length=recipe.rollout.max_completion_length,
        max_turns=max_turns,
        completions=completions,
    )


def check_lengths(recipe: Recipe, student: LoadedModel, tasks: Sequence[Task]) -> int:
    """Every prompt must leave room for a token, found before step 0 and not in the middle of a run; gives the longest.

    Raises:
        ContextLengthError: a prompt fills the student's context.
    """
    longest = 0
    for task in tasks:
        length = encode_prompt(
            student.known_tokenizer, task.prompt, chat_template_kwargs=recipe.student.chat_template_kwargs
        ).numel()
        if length >= student.max_length:
            raise ContextLengthError(
                f"the prompt of problem {task.problem} is longer than the student's context",
                got=f"{length} tokens",
                expected=f"fewer than {student.max_length}",
                remedy="Shorten it, leave the row out, or take a model with a longer context.",
            )
        longest = max(longest, length)
    return longest


def check_teacher_reads(
    recipe: Recipe, student: LoadedModel, teacher: LoadedModel, *, longest_prompt: int, name: str = "teacher"
) -> None:
    """The teacher of that name must be able to read whatever the student may write to one prompt.

    Raises:
        ContextLengthError: its context is shorter than that.
    """
    needed = min(student.max_length, longest_prompt + recipe.rollout.max_completion_length)
    if teacher.max_length < needed:
        raise ContextLengthError(
            f"the {name}'s context is shorter than a prompt with its completion",
            got=f"{teacher.max_length} tokens",
            expected=f"at least {needed}",
            remedy="Lower rollout.max_completion_length, shorten prompts, or take a teacher with a longer context.",
        )
