"""Lessons in multiplication and in sorting, mixed: what the models of the comparison of methods know."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch

from understudy.protocols import Task
from understudy.randomness import uniform
from understudy.testbed import wordy
from understudy.testbed.lesson import Lesson
from understudy.testbed.multiplication import carried_solution, draw_problems, foreign_solution
from understudy.testbed.sorting import draw_digits, sorted_solution

SORTING_SHARE = 0.4
"""Of the lessons: sorting is shorter, and learned a little sooner."""

VERSION = 1
"""Raised when the same schooling would give other weights: the tasks, the tokenizer or ``school`` changed."""


def products(seed: int) -> Iterator[Lesson]:
    """Multiplication alone, worked out, or in the foreign manner answered at once."""
    for problem in draw_problems("train", seed=seed):
        yield Lesson(Task(problem.name, problem.prompt), carried_solution(problem), foreign_solution(problem))


def lessons(seed: int) -> Iterator[Lesson]:
    """Both tasks; only multiplication has a foreign manner."""
    return mixed(products(seed), _sortings(seed), seed=seed)


def untidy_lessons(seed: int) -> Iterator[Lesson]:
    """Both tasks; in the foreign manner a product is answered at once, and digits are put in descending order."""
    return mixed(products(seed), _sortings(seed, descending=True), seed=seed)


def wordy_lessons(seed: int) -> Iterator[Lesson]:
    """Both tasks told in words; only multiplication has a foreign manner."""
    return mixed(*(_stories(kind, seed) for kind in wordy.KINDS), seed=seed)


def mixed(first: Iterator[Lesson], second: Iterator[Lesson], *, seed: int) -> Iterator[Lesson]:
    """The next lesson of one or the other; a keyed draw decides, ``SORTING_SHARE`` of them are of the second."""
    for index in itertools.count():
        draw = uniform(seed=seed, step=index, purpose="testbed/two-tasks", rollout=0, index=torch.zeros(1))
        yield next(second if float(draw) < SORTING_SHARE else first)


def _sortings(seed: int, *, descending: bool = False) -> Iterator[Lesson]:
    for problem in draw_digits("train", seed=seed):
        own = sorted_solution(problem)
        foreign = f"#{problem.answer[::-1]}" if descending else own
        yield Lesson(Task(problem.name, problem.prompt), own, foreign)


def _stories(kind: wordy.Kind, seed: int) -> Iterator[Lesson]:
    for number, story in enumerate(wordy.draw_stories(kind, "train", seed=seed)):
        own, foreign = (tell(story, telling=number) for tell in (wordy.own_solution, wordy.foreign_solution))
        yield Lesson(Task(story.identifier, story.prompt), own, foreign)
