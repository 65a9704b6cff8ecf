"""A world of facts in some dozens of words: who lives where, and which land that is in.

Half of the questions take one search, half take two. Nobody is asked about both in ``train`` and in ``eval``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from understudy.environments.search_qa.world import GOLDS, QUESTION
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.randomness import derived_seed, permutation
from understudy.tasks.retrieval import Document, LocalRetriever

Split = Literal["train", "eval"]
TINY_DOMAIN = "tiny-search"
FIRST_NAMES = ("anna", "ben", "cara", "dan", "eva", "finn", "gina", "hugo")
LAST_NAMES = ("ash", "bell", "cole", "dale", "ford", "gray", "hill", "lake")
CITIES = ("rome", "oslo", "lima", "bern", "cork", "pisa", "kiel", "lyon")
LANDS = ("arva", "belan", "corvo", "dunia")
_NUM_EVAL = 16  # of 64 people


@dataclass(frozen=True)
class Person:
    """Somebody of the tiny world, and where they live."""

    name: str
    city: str
    land: str


@cache
def people() -> tuple[Person, ...]:
    """All of them, in an order that is drawn once: the last sixteen are asked about in ``eval``."""
    names = [f"{first} {last}" for first in FIRST_NAMES for last in LAST_NAMES]
    names = [names[place] for place in permutation(len(names), seed=0, purpose="tiny-search/order")]
    drawn = [derived_seed(seed=0, step=number, purpose="tiny-search/city") for number in range(len(names))]
    cities = [CITIES[draw % len(CITIES)] for draw in drawn]
    return tuple(Person(name, city, land_of(city)) for name, city in zip(names, cities, strict=True))


def land_of(city: str) -> str:
    """The land a city is in.

    >>> land_of("rome"), land_of("lyon")
    ('arva', 'dunia')
    """
    return LANDS[CITIES.index(city) // 2]


def tiny_corpus() -> list[Document]:
    """Every fact of the world, one a document."""
    facts = [f"{one.name} lives in {one.city}" for one in people()]
    facts += [f"{city} is in {land_of(city)}" for city in CITIES]
    return [Document(str(number), fact) for number, fact in enumerate(facts)]


@cache
def tiny_retriever() -> LocalRetriever:
    """Finds the facts; one for the process."""
    return LocalRetriever.of(tiny_corpus())


def tiny_search_tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """Questions about people drawn from the split.

    Raises:
        DataError: ``count`` is less than 1, or there is no such split.
    """
    if split not in ("train", "eval") or count < 1:
        expected = "train or eval, and at least 1"
        raise DataError("no such tiny questions", got=f"split {split!r}, count {count}", expected=expected)
    asked = people()[-_NUM_EVAL:] if split == "eval" else people()[:-_NUM_EVAL]
    draws = [derived_seed(seed=seed, step=step, purpose=f"tiny-search/{split}") for step in range(count)]
    return [_task(asked[draw // 2 % len(asked)], far=bool(draw % 2), number=n) for n, draw in enumerate(draws)]


def tiny_expert(task: Task) -> list[str]:
    """The actions that answer it."""
    person, far = _about(task)
    search = [f"search[{person.name}]"]
    return [*search, f"search[{person.city}]", f"answer[{person.land}]"] if far else [*search, f"answer[{person.city}]"]


def tiny_vocabulary() -> tuple[str, ...]:
    """Every word that prompts and actions of the tiny world hold."""
    names = (*FIRST_NAMES, *LAST_NAMES, *CITIES, *LANDS)
    said = "Doc 1: 2: 3: lives is in which city land has : search answer Nothing happens: no action could be read. No"
    said += " document was found."
    return (*names, *dict.fromkeys(said.split()))


def spoken(actions: Sequence[str]) -> list[str]:
    """Actions in the words that ``tiny_reply`` reads.

    >>> spoken(["search[anna ash]", "answer[rome]"])
    ['search anna ash', 'answer rome']
    """
    return [action.removesuffix("]").replace("[", " ", 1) for action in actions]


def _task(person: Person, *, far: bool, number: int) -> Task:
    question = f"which {'land' if far else 'city'} has {person.name}"
    columns = {QUESTION: question, GOLDS[0]: [person.land if far else person.city]}
    return Task(f"{TINY_DOMAIN}-{number}", question, columns, domain=TINY_DOMAIN)


def _about(task: Task) -> tuple[Person, bool]:
    question = str(task.columns[QUESTION]).split()
    name = " ".join(question[3:])
    return next(one for one in people() if one.name == name), question[1] == "land"
