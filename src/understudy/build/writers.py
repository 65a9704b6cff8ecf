"""Who writes completions: the student, the teacher, or the data itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from understudy.build.data import EnvironmentFactory
from understudy.build.lessons import Lessons
from understudy.environments.episodes import Episode, from_completions, play
from understudy.evaluation.examination import Examinee
from understudy.objectives.writing import RolloutMix
from understudy.protocols import SamplingParams
from understudy.recipe import Recipe
from understudy.rollouts import Origin, Rollout
from understudy.training.collecting import Write, Writer


def writers_of(
    recipe: Recipe,
    mix: RolloutMix,
    lessons: Lessons,
    *,
    student: Examinee,
    teacher: Examinee | None,
    environment: EnvironmentFactory | None = None,
) -> dict[Writer, Write]:
    """A function for each writer that the mix has; the caller's own environment in place of the lessons'."""
    writers: dict[Writer, Write] = {}
    environment = environment or lessons.environment()
    if mix.student:
        writers["student"] = _written_by(recipe, student, Origin.STUDENT, environment)
    if mix.teacher and teacher is not None:
        writers["teacher"] = _written_by(recipe, teacher, Origin.TEACHER, environment)
    if mix.data:
        writers["data"] = _written_in_data(lessons, student)
    return writers


def _written_by(recipe: Recipe, examinee: Examinee, author: Origin, environment: EnvironmentFactory) -> Write:
    rollout = recipe.rollout
    params = SamplingParams(
        max_completion_length=rollout.max_completion_length,
        temperature=rollout.temperature,
        top_p=rollout.top_p,
        top_k=rollout.top_k,
        stop_ids=examinee.stop_ids,
    )

    def write(episodes: Sequence[Episode], step: int, progress: Callable[[int], None] | None) -> list[Rollout]:
        return play(
            episodes,
            environment_factory=environment,
            sampler=examinee.sampler,
            params=params,
            tokenizer=examinee.tokenizer,
            seed=recipe.seed,
            step=step,
            author=author,
            progress=progress,
            max_turns=rollout.max_turns,
            max_length=examinee.max_length,
            chat_template_kwargs=examinee.chat_template_kwargs,
        )

    return write


def _written_in_data(lessons: Lessons, student: Examinee) -> Write:
    def write(episodes: Sequence[Episode], _: int, progress: Callable[[int], None] | None) -> list[Rollout]:
        rollouts = from_completions(
            episodes,
            [lessons.gold_completion(episode.task) for episode in episodes],
            tokenizer=student.tokenizer,
            max_length=student.max_length,
            chat_template_kwargs=student.chat_template_kwargs,
        )
        if progress:
            progress(len(rollouts))
        return rollouts

    return write
