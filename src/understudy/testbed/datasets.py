"""The testbed's problems by name: endless streams cut into training, validation and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from understudy.environments.toy import remember_digit_tasks
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.recipe import Verifier
from understudy.tasks import verifier_from
from understudy.testbed import households, office_quiz, remembering, sorting, tiny_worlds, wordy
from understudy.testbed.multiplication import (
    ANSWER_PATTERN,
    MAX_COMPLETION_TOKENS,
    Split,
    carried_solution,
    draw_problems,
)
from understudy.testbed.practice import Ground

DATASET = "testbed/multiplication"
NUM_TRAIN, NUM_EVAL, NUM_VALIDATION = 4096, 1000, 500
VERIFIER = Verifier(kind="numeric", extract=ANSWER_PATTERN)
SORTING_VERIFIER = Verifier(kind="exact", extract=ANSWER_PATTERN)
WORDY_VERIFIER = Verifier(kind="exact", extract=wordy.ANSWER_PATTERN)


@dataclass(frozen=True)
class DataSet:
    """A set of problems.

    Args:
        draw: split -> its problems without end, repeats among them; what is held out is never drawn for training.
        verifier: judges answers. max_completion_length: tokens of the longest right answer, the end token included.
    """

    draw: Callable[[Split], Iterator[Task]]
    verifier: Verifier
    max_completion_length: int


def _products(split: Split) -> Iterator[Task]:
    for problem in draw_problems(split):
        yield _task(DATASET, problem.name, problem.prompt, carried_solution(problem), problem.answer)


def _sortings(split: Split) -> Iterator[Task]:
    for problem in sorting.draw_digits(split):
        solution = sorting.sorted_solution(problem)
        yield _task("testbed/sorting", problem.name, problem.prompt, solution, problem.answer)


def _stories(kind: wordy.Kind) -> Callable[[Split], Iterator[Task]]:
    def draw(split: Split) -> Iterator[Task]:
        for story in wordy.draw_stories(kind, split):
            solution = wordy.own_solution(story)
            yield _task(f"testbed/wordy-{kind}", story.identifier, story.prompt, solution, story.answer)

    return draw


def _questions(name: str) -> Callable[[Split], Iterator[Task]]:
    def draw(split: Split) -> Iterator[Task]:
        for question in office_quiz.draw_questions(name, split):
            yield _task(f"testbed/{name}", question.prompt, question.prompt, question.answer, question.answer)

    return draw


DATASETS: Mapping[str, DataSet] = {
    DATASET: DataSet(_products, VERIFIER, MAX_COMPLETION_TOKENS),
    "testbed/sorting": DataSet(_sortings, SORTING_VERIFIER, sorting.MAX_COMPLETION_TOKENS),
    "testbed/wordy-multiplication": DataSet(_stories("multiplication"), WORDY_VERIFIER, wordy.MAX_COMPLETION_TOKENS),
    "testbed/wordy-sorting": DataSet(_stories("sorting"), WORDY_VERIFIER, wordy.MAX_COMPLETION_TOKENS),
    **{
        f"testbed/{name}": DataSet(_questions(name), office_quiz.VERIFIER, office_quiz.MAX_COMPLETION_TOKENS)
        for name in office_quiz.QUIZZES
    },
}

_CUTS: Mapping[str, tuple[Split, int, int]] = {
    "train": ("train", 0, NUM_TRAIN),
    "eval": ("eval", 0, NUM_EVAL),
    "test": ("eval", 0, NUM_EVAL),
    "validation": ("eval", NUM_EVAL, NUM_VALIDATION),
}
"""Split, the first problem and the number of them, among those that differ."""

_IN_VAIN = 10
"""A stream that so many times over brings nothing but what it has brought already has no more: quizzes are small."""


def dataset_named(name: str) -> DataSet:
    """The data set of that name; raises DataError where there is none."""
    if name not in DATASETS:
        known = (*DATASETS, *households.DATASETS, *tiny_worlds.DATASETS, remembering.DATASET)
        raise DataError("no such testbed data set", got=repr(name), expected=f"one of {', '.join(known)}")
    return DATASETS[name]


def ground_of(name: str) -> Ground:
    """The training problems of a data set, to practise on; raises DataError where there is none."""
    dataset = dataset_named(name)
    verifier = verifier_from(dataset.verifier, None)
    assert verifier is not None
    return Ground(tasks(name), verifier, dataset.max_completion_length)


def tasks(name: str, split: str = "train", *, limit: int | None = None) -> list[Task]:
    """The problems of a testbed data set; columns ``prompt``, ``completion`` (teacher's manner) and ``answer``.

    Those of ``remember-digit`` are the ten digits, the same in every split; its environment asks and grades, and so do
    the households', whose ``eval`` games are unseen rooms and goals, and whose ``validation`` games are seen ones.

    Args:
        name: of the data set. split: ``train``; ``eval`` (also called ``test``) of held-out problems; ``validation``
            of other held-out ones, for choosing settings.
        limit: only the first so many; None gives 4096 for training, 1000 for evaluation and 500 for validation, or as
            many as there are.
    Raises:
        DataError: no testbed data set has that name, or it has no such split.
    """
    if name in households.DATASETS and split in households.SPLITS:
        return list(households.games(name, split, limit))
    if name not in (remembering.DATASET, *households.DATASETS, *tiny_worlds.DATASETS):
        dataset_named(name)
    if split not in _CUTS:
        raise DataError(f"{name} has no split of that name", got=repr(split), expected="train, eval or validation")
    if name == remembering.DATASET:
        return remember_digit_tasks()[:limit]
    if name in tiny_worlds.DATASETS:
        return tiny_worlds.tasks(name, split, limit)
    which, first, most = _CUTS[split]
    count = most if limit is None else min(limit, most)
    return list(_distinct(name, which, first + count)[first:])


@lru_cache(maxsize=16)
def _distinct(name: str, split: Split, count: int) -> tuple[Task, ...]:
    found: dict[str, Task] = {}
    in_vain = 0
    for task in DATASETS[name].draw(split):
        in_vain = in_vain + 1 if task.problem in found else 0
        found.setdefault(task.problem, task)
        if len(found) == count or in_vain > _IN_VAIN * len(found):
            break
    return tuple(found.values())


def _task(dataset: str, name: str, prompt: str, solution: str, answer: str) -> Task:
    columns = {"prompt": prompt, "completion": solution, "answer": answer}
    return Task(problem=name, prompt=prompt, columns={"id": name, **columns}, domain=dataset)
