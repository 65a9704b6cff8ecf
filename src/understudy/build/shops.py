"""The shop that a recipe names, its products read once a process."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path

from understudy.environments.agents import Agent, Manner
from understudy.environments.shop import (
    Published,
    Shelf,
    Shop,
    goal_tasks,
    read_published,
    synthetic_catalogue,
    tiny_shop,
)
from understudy.environments.shop.goals import Split
from understudy.home import expanded
from understudy.protocols import Task
from understudy.written_whole import write_whole

TINY, SYNTHETIC = "tiny", "synthetic"
CATALOGUE = "data/webshop"
NUM_SYNTHETIC = 1000


def published_of(catalogue: str) -> Published:
    """The catalogue of that name: a folder of the published files, or ``synthetic``.

    Raises:
        DataError: a file is missing or broken.
    """
    return synthetic_catalogue(NUM_SYNTHETIC) if catalogue == SYNTHETIC else read_published(expanded(catalogue))


@cache
def shelf_of(catalogue: str) -> Shelf:
    """Its products with their index.

    Raises:
        DataError: a file is missing or broken. UserMistakeError: bm25s is not installed.
    """
    return Shelf.of(published_of(catalogue).products())


def write_goals(catalogue: str, folder: Path) -> dict[Path, int]:
    """Write the goals of a catalogue as a recipe's data, one file a split; file -> number of goals.

    Raises:
        DataError: the catalogue is missing or broken, or has too few goals for a split.
    """
    published = published_of(catalogue)
    goals = published.goals(published.products())
    splits: tuple[Split, ...] = ("train", "valid", "test")
    found = {split: goal_tasks(goals, split) for split in splits}
    return {_written(tasks, folder / f"webshop-{split}.jsonl"): len(tasks) for split, tasks in found.items()}


def _written(tasks: list[Task], path: Path) -> Path:
    lines = [json.dumps({"id": task.problem, "prompt": task.prompt, **task.columns}) for task in tasks]
    write_whole(path, "".join(f"{line}\n" for line in lines), remedy="Choose another folder with --out.")
    return path


def shop_agent(catalogue: str, manner: Manner) -> Agent:
    """A fresh shop with its agent."""
    return Agent(tiny_shop() if catalogue == TINY else Shop(shelf_of(catalogue)), manner)


def shop_factory(catalogue: str, manner: Manner) -> partial[Agent]:
    """Makes the shop of one attempt; the catalogue is read now, so that a run without it does not begin."""
    if catalogue != TINY:
        shelf_of(catalogue)
    return partial(shop_agent, catalogue, manner)
