"""Worlds for agents in some dozens of words, the shop, the questions and the office, as subjects of the testbed.

A lesson is one turn: what the world shows, and what to do. One turn in three goes astray, and the lessons go on from
there: a teacher that has never seen a mistake cannot mark one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from transformers import PreTrainedTokenizerFast

from understudy.environments import search_qa, shop, tiny_office
from understudy.environments.agents import Agent
from understudy.environments.search_qa import tiny_guide as search_guide
from understudy.environments.shop import tiny_guide as shop_guide
from understudy.protocols import Task
from understudy.randomness import uniform
from understudy.recipe import EnvironmentConfig, Suite
from understudy.testbed import office_quiz
from understudy.testbed.lesson import Lesson
from understudy.testbed.tokenizer import SPECIALS, word_tokenizer

CONTEXT_TOKENS = 64
MAX_COMPLETION_TOKENS = 6
OFF_PLAN, SILENT = 1 / 3, 1 / 30
"""Turns that go astray by the hasty reply, or by none at all."""
TURNS_BETWEEN = 5
"""Turns between two lessons of other things, in a world that has such."""
VERSION = 1
"""Raised when the same schooling would give other weights: worlds, words, tokenizer or ``school`` changed."""


@dataclass(frozen=True)
class TinyWorld:
    """One of the worlds.

    Args:
        tasks: (split, count, seed). agent: a fresh world with its agent. words: its vocabulary.
        careful, hasty: from a prompt to a reply; the teacher's manner and the foreign one.
        environment: as a recipe names it. besides: from a seed to lessons of other things, one after every five turns;
            None where there are none.
    """

    tasks: Callable[[shop.tiny.Split, int, int], list[Task]]
    agent: Callable[[], Agent]
    words: Callable[[], tuple[str, ...]]
    careful: Callable[[str], str]
    hasty: Callable[[str], str]
    environment: EnvironmentConfig
    besides: Callable[[int], Iterator[Lesson]] | None = None


WORLDS: Mapping[str, TinyWorld] = {
    "tiny-shop": TinyWorld(
        shop.tiny_shop_tasks,
        lambda: Agent(shop.tiny_shop(), shop.manner("tiny")),
        shop.tiny_vocabulary,
        shop_guide.careful,
        shop_guide.hasty,
        EnvironmentConfig(kind="webshop", catalogue="tiny"),
    ),
    "tiny-search": TinyWorld(
        search_qa.tiny_search_tasks,
        lambda: Agent(search_qa.SearchQA(search_qa.tiny_retriever()), search_qa.manner("tiny")),
        search_qa.tiny_vocabulary,
        search_guide.careful,
        search_guide.hasty,
        EnvironmentConfig(kind="search_qa", corpus="tiny"),
    ),
    "tiny-office": TinyWorld(
        tiny_office.tiny_office_tasks,
        lambda: Agent(tiny_office.TinyOffice(), tiny_office.office_manner()),
        tiny_office.tiny_office_vocabulary,
        tiny_office.careful,
        tiny_office.hasty,
        EnvironmentConfig(kind="tiny_office"),
        besides=office_quiz.lessons,
    ),
}
DATASETS = tuple(f"testbed/{name}" for name in WORLDS)
_COUNTS = {"train": 4096, "eval": 1000, "test": 1000, "validation": 500}


def tasks(dataset: str, split: str, limit: int | None) -> list[Task]:
    """The problems of a world, the first ``limit`` of them; ``validation`` draws other ones of the training goals."""
    most = _COUNTS[split] if limit is None else min(limit, _COUNTS[split])
    own: shop.tiny.Split = "eval" if split in ("eval", "test") else "train"
    return WORLDS[dataset.removeprefix("testbed/")].tasks(own, most, int(split == "validation"))


def tokenizer_of(name: str) -> Callable[[], PreTrainedTokenizerFast]:
    """Builds the tokenizer of a world: one id a word."""
    return lambda: word_tokenizer(WORLDS[name].words(), context_tokens=CONTEXT_TOKENS)


def lessons_of(name: str) -> Callable[[int], Iterator[Lesson]]:
    """seed -> endless turns of a world: the careful reply, and the hasty one as the foreign manner."""
    world = WORLDS[name]
    besides = world.besides
    return lambda seed: _lessons(world, seed) if besides is None else _mixed(_lessons(world, seed), besides(seed))


def definition_of(name: str) -> Callable[[], list[object]]:
    """Gives what decides tokenizer and lessons."""
    besides = [TURNS_BETWEEN, *office_quiz.QUIZZES] if WORLDS[name].besides is not None else []
    return lambda: [name, SPECIALS, WORLDS[name].words(), OFF_PLAN, SILENT, VERSION, *besides]


def suite(name: str) -> Suite:
    """Unseen goals of a world, one attempt each at temperature 1."""
    return Suite(
        name=name,
        dataset=f"testbed/{name}",
        split="eval",
        limit=300,
        temperature=1.0,
        max_completion_length=MAX_COMPLETION_TOKENS,
        environment=WORLDS[name].environment,
    )


def _mixed(turns: Iterator[Lesson], besides: Iterator[Lesson]) -> Iterator[Lesson]:
    for number, turn in enumerate(turns, start=1):
        yield turn
        if number % TURNS_BETWEEN == 0:
            yield next(besides)


def _lessons(world: TinyWorld, seed: int) -> Iterator[Lesson]:
    agent = world.agent()
    for number in count():
        (task,) = world.tasks("train", 1, seed * 1_000_003 + number)
        seen = agent.reset(task, 0)
        for turn in range(world.environment.num_turns):
            prompt = str(seen.prompt)
            own, foreign = world.careful(prompt), world.hasty(prompt)
            yield Lesson(Task(f"turn-{number}-{turn}", prompt), own=own, foreign=foreign)
            draw = float(uniform(seed=seed, step=number, purpose="testbed/astray", rollout=turn, index=0))
            seen = agent.step("" if draw < SILENT else foreign if draw < OFF_PLAN else own)
            if seen.done:
                break
