"""Who writes completions: the student, the teacher, the data, or a teacher and the student in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from understudy.build.data import EnvironmentFactory
from understudy.build.lessons import Lessons
from understudy.engines.local import InitialSampler
from understudy.environments.episodes import Episode, from_completions, play
from understudy.errors import RecipeError
from understudy.evaluation.examination import Examinee
from understudy.objectives.writing import ExpertReplay, TeacherPrefix, TurnWindow, Writing
from understudy.protocols import SamplingParams, Task
from understudy.recipe import Recipe
from understudy.rollouts import Origin, Rollout
from understudy.training.busy import Busy, TimedSampler
from understudy.training.collecting import Ended, Write, Writer
from understudy.training.guidance import PrefixLengths, with_prefix, with_replay
from understudy.training.progress import Display, Silent
from understudy.training.rollout_store import RolloutStore
from understudy.training.written_once import written_once


@dataclass(frozen=True)
class Keeping:
    """Where completions that are made once are kept, and who is told of them.

    Args:
        run: folder of the run; None keeps them in memory. display: shows their making as a phase, and notices.
    """

    run: Path | None = None
    display: Display = field(default_factory=Silent)


@dataclass(frozen=True)
class Cast:
    """Who can write in a run.

    Args:
        student, teacher: None for a teacher that cannot write. environment: makes the world of one attempt.
        teacher_fingerprint: of the model that writes as the teacher.
        initial: the student as it was before step 0, where it is asked for.
        busy: told how long the samplers run.
    """

    student: Examinee
    teacher: Examinee | None
    environment: EnvironmentFactory
    teacher_fingerprint: str = ""
    initial: InitialSampler | None = None
    busy: Busy = field(default_factory=Busy)

    def known_teacher(self) -> Examinee:
        """The teacher; raises RecipeError where none can write."""
        if self.teacher is None:
            raise RecipeError("the method needs a teacher that writes", expected="teacher.model, a local model")
        return self.teacher


def writers_of(
    recipe: Recipe, writing: Writing, lessons: Lessons, cast: Cast, *, keeping: Keeping | None = None
) -> dict[Writer, Write]:
    """A function for each writer that the mix has."""
    writers: dict[Writer, Write] = {}
    mix, keeping = writing.mix, keeping or Keeping()
    if mix.student:
        writers["student"] = _by_student(recipe, writing, lessons, cast, keeping)
    if mix.teacher:
        writers["teacher"] = _by_teacher(recipe, writing, lessons, cast)
    if mix.data:
        writers["data"] = _in_data(lessons.gold_completion, cast.student, Origin.DATA)
    return writers


def prefix_lengths_of(recipe: Recipe, prefix: TeacherPrefix) -> PrefixLengths:
    """The prefix's schedule in tokens of this recipe's completions."""
    return PrefixLengths(prefix, recipe.rollout.max_completion_length, seed=recipe.seed, total_steps=recipe.steps)


def _by_student(recipe: Recipe, writing: Writing, lessons: Lessons, cast: Cast, keeping: Keeping) -> Write:
    if cast.initial is not None:
        beginner = replace(cast.student, sampler=cast.initial)
        store = _store("initial", recipe, beginner, keeping, fingerprint=cast.initial.fingerprint)
        return written_once(_played(recipe, beginner, Origin.STUDENT, cast), store, purpose="initial weights")
    most, turns = recipe.rollout.max_turns, writing.turns
    write = _played(recipe, cast.student, Origin.STUDENT, cast, max_turns=_limit_of(turns, most))
    if writing.prefix is not None:
        texts = _teacher_texts(recipe, lessons, cast, keeping)
        return with_prefix(write, texts, prefix_lengths_of(recipe, writing.prefix))
    if isinstance(turns, ExpertReplay) and most > 1:
        experts = _stored_teacher(recipe, cast, keeping, max_turns=most)
        return with_replay(write, experts, turns, max_turns=most)
    return write


def _by_teacher(recipe: Recipe, writing: Writing, lessons: Lessons, cast: Cast) -> Write:
    if recipe.data.has_teacher_text:
        return _in_data(lessons.teacher_text, cast.student, Origin.TEACHER)
    limit = _limit_of(writing.turns, recipe.rollout.max_turns)
    return _played(recipe, cast.known_teacher(), Origin.TEACHER, cast, max_turns=limit)


def _limit_of(turns: TurnWindow | ExpertReplay | None, most: int) -> Callable[[int], int]:
    """Turns that a rollout may have, by the step."""
    return partial(turns.limit, max_turns=most) if isinstance(turns, TurnWindow) else lambda _: most


def _teacher_texts(recipe: Recipe, lessons: Lessons, cast: Cast, keeping: Keeping) -> Write:
    """A completion of each prompt, the same at every step: the data's, or one that the teacher writes once."""
    if recipe.data.has_teacher_text:
        read = _in_data(lessons.teacher_text, cast.student, Origin.TEACHER)
        return lambda episodes, step, _, **__: read(episodes, step, None)
    return _stored_teacher(recipe, cast, keeping, max_turns=1)


def _stored_teacher(recipe: Recipe, cast: Cast, keeping: Keeping, *, max_turns: int) -> Write:
    teacher, display = cast.known_teacher(), keeping.display
    store = _store("teacher", recipe, teacher, keeping, fingerprint=cast.teacher_fingerprint, max_turns=max_turns)
    write = _played(recipe, teacher, Origin.TEACHER, cast, max_turns=lambda _: max_turns)
    return written_once(write, store, purpose="teacher text", begin=lambda name, size: display.phase(name, size=size))


def _store(
    name: str, recipe: Recipe, writer: Examinee, keeping: Keeping, *, fingerprint: str, max_turns: int | None = None
) -> RolloutStore:
    """A store in the run's folder ``written/NAME``, for this writer under this recipe alone."""
    params = _params(recipe, writer)
    about = {
        "fingerprint": fingerprint,
        "seed": recipe.seed,
        "sampling": [params.max_completion_length, params.temperature, params.top_p, params.top_k],
        "stop_ids": sorted(params.stop_ids),
        "max_turns": max_turns or recipe.rollout.max_turns,
        "chat_template_kwargs": dict(writer.chat_template_kwargs),
    }
    folder = None if keeping.run is None else keeping.run / "written" / name
    return RolloutStore(folder, writer=about, notice=keeping.display.notice)


def _params(recipe: Recipe, writer: Examinee) -> SamplingParams:
    rollout = recipe.rollout
    return SamplingParams(
        max_completion_length=rollout.max_completion_length,
        temperature=rollout.temperature,
        top_p=rollout.top_p,
        top_k=rollout.top_k,
        stop_ids=writer.stop_ids,
    )


def _played(
    recipe: Recipe, examinee: Examinee, author: Origin, cast: Cast, *, max_turns: Callable[[int], int] | None = None
) -> Write:
    def write(
        episodes: Sequence[Episode],
        step: int,
        progress: Callable[[int], None] | None,
        *,
        ended: Ended | None = None,
    ) -> list[Rollout]:
        return play(
            episodes,
            environment_factory=cast.environment,
            sampler=TimedSampler(examinee.sampler, cast.busy),
            params=_params(recipe, examinee),
            tokenizer=examinee.tokenizer,
            seed=recipe.seed,
            step=step,
            author=author,
            progress=progress,
            ended=ended,
            max_turns=max_turns(step) if max_turns is not None else recipe.rollout.max_turns,
            max_length=examinee.max_length,
            chat_template_kwargs=examinee.chat_template_kwargs,
        )

    return write


def _in_data(completion: Callable[[Task], str], student: Examinee, author: Origin) -> Write:
    def write(
        episodes: Sequence[Episode],
        _: int,
        progress: Callable[[int], None] | None,
        **__: object,  # all end at once: there is nobody to tell
    ) -> list[Rollout]:
        rollouts = from_completions(
            episodes,
            [completion(episode.task) for episode in episodes],
            tokenizer=student.tokenizer,
            max_length=student.max_length,
            chat_template_kwargs=student.chat_template_kwargs,
            author=author,
        )
        if progress:
            progress(len(rollouts))
        return rollouts

    return write
