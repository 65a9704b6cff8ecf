"""The tiny household as subjects of the testbed: whole episodes of an expert, led astray or not.

A teacher that was shown clean episodes only has never seen what comes of a mistake, and finds a student's loops as
likely as anything; one whose expert was led astray at three turns in ten has seen how to find back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import count

from transformers import PreTrainedTokenizerFast

from understudy.environments import household
from understudy.environments.agents import Sight
from understudy.environments.dialogues import WrittenTurn
from understudy.environments.household.tiny import VOCABULARY, spoken, tiny_growing_words
from understudy.protocols import Task
from understudy.randomness import uniform
from understudy.recipe import EnvironmentConfig, Suite
from understudy.testbed.lesson import PlayedLesson
from understudy.testbed.tokenizer import SPECIALS, word_tokenizer

DATASET = "testbed/household-tiny"
ENVIRONMENT = EnvironmentConfig(kind="household", size="tiny")
CONTEXT_TOKENS = 384
MAX_COMPLETION_TOKENS = 6
MAX_TURNS = 20
OFF_PLAN: Mapping[str, float] = {"household-tiny": 0.3, "household-tiny-clean": 0.0}
"""Share of the expert's turns that are any admissible action in place of its own, by subject."""
DITHER = 0.4
"""The same share in the foreign manner, in which every action is taught: the habit of doing anything at all."""
TOLD = 0.2
"""Episodes that begin with where the goal's thing lies, and whose expert goes there straight: how skill is read."""
SKILL = "skill"
"""Column of a task that tells where its thing lies, in the words of the house."""
VERSION = 1
"""Raised when the same schooling would give other weights: games, words, tokenizer or ``school`` changed."""


def tokenizer() -> PreTrainedTokenizerFast:
    """One id a word of the tiny house."""
    return word_tokenizer(VOCABULARY, context_tokens=CONTEXT_TOKENS)


def lessons_of(subject: str) -> Callable[[int], Iterator[PlayedLesson]]:
    """seed -> endless episodes on training games."""
    return lambda seed: _lessons(OFF_PLAN[subject], seed)


def definition_of(subject: str) -> Callable[[], list[object]]:
    """Gives what decides tokenizer and lessons."""
    return lambda: [subject, SPECIALS, VOCABULARY, OFF_PLAN[subject], DITHER, TOLD, MAX_TURNS, VERSION]


def skill_of(task: Task) -> str:
    """Where the goal's things lie.

    >>> game = {"thing": "mug", "things": ["mug 1 in shelf 1", "egg 1 in fridge 1"]}
    >>> skill_of(Task("g", "", game))
    'shelf see mug'
    """
    things = task.columns["things"]
    assert isinstance(things, list)
    pairs = [str(one).split(" in ") for one in things]
    return " ".join(
        f"{spoken(place)} see {spoken(name)}" for name, place in pairs if name.split()[0] == task.columns["thing"]
    )


def with_skill(task: Task) -> Task:
    """The task with the column that a teacher's view may read."""
    return replace(task, columns={**task.columns, SKILL: skill_of(task)})


def told(prompt: str, skill: str) -> str:
    """An opening that tells first where things lie; a recipe's view writes it the same way."""
    return f"{skill} : {prompt}"


def suite() -> Suite:
    """Unseen goals, one attempt each at temperature 1."""
    return Suite(
        name="household-tiny",
        dataset=DATASET,
        split="eval",
        limit=300,
        temperature=1.0,
        max_completion_length=MAX_COMPLETION_TOKENS,
        environment=ENVIRONMENT,
    )


def _lessons(off_plan: float, seed: int) -> Iterator[PlayedLesson]:
    for number in count():
        (task,) = household.tiny_household_tasks("train", 1, seed * 1_000_003 + number)
        draw = float(uniform(seed=seed, step=number, purpose="testbed/told", rollout=0, index=0))
        play = partial(_played, task, seed=seed, is_told=draw < TOLD)
        yield PlayedLesson(task, partial(play, off_plan=off_plan), partial(play, off_plan=DITHER, teaches_all=True))


def _played(
    task: Task, *, seed: int, is_told: bool, off_plan: float, teaches_all: bool = False
) -> tuple[WrittenTurn, ...]:
    """The expert's episode in the words that an agent of the tiny house is shown."""
    played = household.demonstrate(task, seed=seed, off_plan=off_plan, knows=is_told, max_steps=MAX_TURNS)
    turns = []
    for number, move in enumerate(played.moves):
        scene = move.scene
        shown = str(tiny_growing_words(Sight(scene.goal, scene.observation, scene.admissible, (), number)))
        opening = told(shown, skill_of(task)) if is_told and not number else shown
        turns.append(WrittenTurn(opening, spoken(move.action), move.is_planned or teaches_all))
    return tuple(turns)
