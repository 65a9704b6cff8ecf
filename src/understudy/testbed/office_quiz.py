"""Three questions of one turn in the tiny office's words, which its models learn beside their errands.

Nobody trains on them afterwards: what distilling on errands does to them is what a regression suite shows.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from random import Random

from understudy.environments.tiny_office import THINGS
from understudy.protocols import Task
from understudy.randomness import derived_seed
from understudy.recipe import Suite, Verifier
from understudy.testbed.lesson import Lesson
from understudy.testbed.multiplication import Split

MAX_COMPLETION_TOKENS = 6
VERIFIER = Verifier(kind="exact")
_HELD_OUT = 5


@dataclass(frozen=True)
class Question:
    """A question and its answer, both in words between spaces."""

    prompt: str
    answer: str

    @property
    def is_held_out(self) -> bool:
        """Whether it is kept from every lesson."""
        return zlib.crc32(self.prompt.encode()) % _HELD_OUT == 0


def _largest(random: Random) -> Question:
    """The largest of three or four figures."""
    return _extreme(random, "most", max)


def _smallest(random: Random) -> Question:
    """The smallest of three or four figures."""
    return _extreme(random, "least", min)


def _count(random: Random) -> Question:
    """How many things there are, from two to six."""
    things = random.sample(THINGS, random.randint(2, 6))
    return Question(f"count {' '.join(things)} :", str(len(things)))


def _extreme(random: Random, word: str, choose: Callable[[list[int]], int]) -> Question:
    figures = random.sample(range(10), random.choice((3, 4)))
    return Question(f"{word} {' '.join(map(str, figures))} :", str(choose(figures)))


QUIZZES: Mapping[str, Callable[[Random], Question]] = {
    "quiz-largest": _largest,
    "quiz-smallest": _smallest,
    "quiz-count": _count,
}
"""By the name of their data set, ``testbed/<name>``, and of their suite."""


def draw_questions(name: str, split: Split, *, seed: int = 0) -> Iterator[Question]:
    """Endless questions of one split, repeats among them."""
    for index in count():
        question = QUIZZES[name](Random(derived_seed(seed=seed, step=index, purpose=f"testbed/{name}/{split}")))
        if question.is_held_out == (split == "eval"):
            yield question


def lessons(seed: int) -> Iterator[Lesson]:
    """Endless training questions, the quizzes in turn; both manners give the answer."""
    streams = [draw_questions(name, "train", seed=seed) for name in QUIZZES]
    for number in count():
        question = next(streams[number % len(streams)])
        task = Task(f"quiz-{number}", question.prompt)
        yield Lesson(task, own=question.answer, foreign=question.answer)


def suite(name: str) -> Suite:
    """Unseen questions of a quiz, one attempt each at temperature 1."""
    return Suite(
        name=name,
        dataset=f"testbed/{name}",
        split="eval",
        limit=300,
        verifier=VERIFIER,
        temperature=1.0,
        max_completion_length=MAX_COMPLETION_TOKENS,
    )
