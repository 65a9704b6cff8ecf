"""The testbed's data and suites as recipes name them."""

from __future__ import annotations

from collections.abc import Mapping

from understudy.errors import UserMistakeError
from understudy.recipe import Data, Suite
from understudy.recipe.outline import nearest
from understudy.testbed import office_quiz, remembering, tiny_household, tiny_worlds
from understudy.testbed.datasets import DATASET, VERIFIER
from understudy.testbed.multiplication import MAX_COMPLETION_TOKENS
from understudy.testbed.roster import PREFIX


def is_testbed(name: str) -> bool:
    """Whether a model or data set of that name is built here."""
    return name.startswith(PREFIX)


def data() -> Data:
    """The training set as a recipe's ``data``."""
    return Data(dataset=DATASET, split="train", verifier=VERIFIER)


def suites() -> tuple[Suite, ...]:
    """The testbed's suites of products: the same held-out problems greedily, and with one sample each."""
    return (_suite("multiplication-greedy", 0.0), _suite("multiplication-sampled", 1.0))


def known_suites() -> Mapping[str, Suite]:
    """Every suite of the testbed by its name."""
    worlds = (tiny_worlds.suite(world) for world in tiny_worlds.WORLDS)
    quizzes = (office_quiz.suite(quiz) for quiz in office_quiz.QUIZZES)
    return {suite.name: suite for suite in (*suites(), remembering.suite(), tiny_household.suite(), *worlds, *quizzes)}


def suite_named(name: str) -> Suite:
    """The built-in suite of that name, with or without ``testbed/`` before it.

    Raises:
        UserMistakeError: no built-in suite has that name.
    """
    known = known_suites()
    short = name.removeprefix(PREFIX)
    if short not in known:
        right = nearest(short, known)
        raise UserMistakeError(
            "no built-in suite has that name",
            got=repr(name),
            expected=f"one of {', '.join(known)}",
            remedy=f"Did you mean {right}?" if right else None,
        )
    return known[short]


def _suite(name: str, temperature: float) -> Suite:
    return Suite(
        name=name,
        dataset=DATASET,
        split="eval",
        verifier=VERIFIER,
        temperature=temperature,
        max_completion_length=MAX_COMPLETION_TOKENS,
    )
