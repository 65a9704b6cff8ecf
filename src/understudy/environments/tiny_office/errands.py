"""Errands of the tiny office: a file with what is wanted of it, drawn by chance, training and evaluation apart."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from understudy.environments.tiny_office.documents import Document, Row
from understudy.environments.tiny_office.files import MONTHS
from understudy.environments.tiny_office.wishes import WORK_ORDER, Form, Wish, Work, WorkKind, wish_of
from understudy.errors import DataError
from understudy.protocols import Task
from understudy.randomness import derived_seed

Split = Literal["train", "eval"]
DOMAIN = "tiny-office"
THINGS = ("pen", "cup", "box", "hat", "bag", "key", "map", "jar", "fan", "mat", "pot", "tin")
COLUMNS = ("price", "stock", "hours")
SOURCES = ("sales", "orders", "staff", "store")
NAMES = ("report", "summary", "final", "review")
PEOPLE = ("ann", "bob", "eve", "tom")
MAX_FIGURE = 9
HELD_OUT = 5
"""One errand in so many never occurs in training."""
_NUM_ROWS = (3, 4)
_FORMS: Mapping[Form, float] = {"sheet": 0.75, "note": 0.15, "move": 0.1}


@dataclass(frozen=True)
class Errand:
    """A file and what is wanted of it.

    Args:
        wish: what is wanted. document: the file called ``wish.source``.
    """

    wish: Wish
    document: Document

    @property
    def filled(self) -> dict[str, int]:
        """Figure by thing, with the one that is to be filled in."""
        values = self.document.values
        for work in self.wish.works:
            if work.kind == "fill":
                values[work.what] = values[work.like]
        return {thing: value for thing, value in values.items() if value is not None}

    @property
    def is_held_out(self) -> bool:
        """Whether it is kept from training, by a hash of the wish and the file's rows."""
        rows = [(row.thing, row.value) for row in self.document.rows]
        return zlib.crc32(repr((self.wish.words, rows)).encode()) % HELD_OUT == 0


def tiny_office_tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """Errands drawn from the split; the first of a longer list are those of a shorter one.

    Raises:
        DataError: ``count`` is less than 1, or there is no such split.
    """
    if split not in ("train", "eval") or count < 1:
        expected = "train or eval, and at least 1"
        raise DataError("no such tiny errands", got=f"split {split!r}, count {count}", expected=expected)
    random = Random(derived_seed(seed=seed, step=0, purpose=f"{DOMAIN}/{split}"))
    return [task_of(_drawn(split, random), f"{DOMAIN}-{number}") for number in range(count)]


def task_of(errand: Errand, problem: str) -> Task:
    """An errand as a task, whose columns ``errand_of`` reads."""
    wish, document = errand.wish, errand.document
    columns = {
        "prompt": wish.sentence,
        "wish": wish.words,
        "column": document.column,
        "rows": [[row.thing, row.value] for row in document.rows],
    }
    return Task(problem=problem, prompt=wish.sentence, columns=columns, domain=DOMAIN)


def errand_of(task: Task) -> Errand:
    """The errand of a task.

    Raises:
        DataError: the task's columns are not those of an errand.
    """
    columns: Mapping[str, object] = task.columns
    try:
        rows = tuple(Row(str(thing), value) for thing, value in columns["rows"])  # type: ignore[attr-defined]
        return Errand(wish_of(str(columns["wish"])), Document("sheet", str(columns["column"]), rows))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{task.problem} is no errand of the tiny office", got=error, expected="wish, column, rows"
        ) from error


def _drawn(split: Split, random: Random) -> Errand:
    while True:
        errand = _errand(random)
        if errand.is_held_out == (split == "eval"):
            return errand


def _errand(random: Random) -> Errand:
    (form,) = random.choices(list(_FORMS), list(_FORMS.values()))
    things = random.sample(THINGS, random.choice(_NUM_ROWS))
    figures: list[int | None] = list(random.sample(range(1, MAX_FIGURE + 1), len(things)))
    source, name = random.choice(SOURCES), random.choice(NAMES)
    works: tuple[Work, ...] = ()
    if form == "sheet":
        works = _works(random, things)
        filled = [work for work in works if work.kind == "fill"]
        figures = [
            None if any(work.what == thing for work in filled) else f for thing, f in zip(things, figures, strict=True)
        ]
    date, sign = ("", "") if form == "move" else _ends(random)
    thing = random.choice(things) if form == "note" else ""
    rows = tuple(Row(thing, figure) for thing, figure in zip(things, figures, strict=True))
    return Errand(Wish(form, source, name, works, thing, date, sign), Document("sheet", random.choice(COLUMNS), rows))


def _works(random: Random, things: list[str]) -> tuple[Work, ...]:
    kinds = set(random.sample(WORK_ORDER, random.choice((1, 2))))
    if kinds == {"fill", "mark"}:  # two figures would be the most
        kinds = {"fill", "total"}
    return tuple(_work(kind, random, things) for kind in WORK_ORDER if kind in kinds)


def _work(kind: WorkKind, random: Random, things: list[str]) -> Work:
    if kind == "fill":
        return Work(kind, *random.sample(things, 2))
    options = {"sort": ("up", "down"), "mark": ("most", "least"), "count": ("3", "5", "7"), "total": ("",)}
    return Work(kind, random.choice(options[kind]))


def _ends(random: Random) -> tuple[str, str]:
    date = f"{random.choice(MONTHS)} {random.randint(1, MAX_FIGURE)}" if random.random() < 0.5 else ""
    return date, random.choice(PEOPLE) if random.random() < 0.5 else ""
