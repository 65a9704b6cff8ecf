"""Real text for testbed models: the worked solutions of GSM8K's training set, and a tokenizer made from them.

The file is not part of the package. It is read where ``UNDERSTUDY_GSM8K`` says, else beside the working directory.
"""

from __future__ import annotations

import os
import string
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from understudy.errors import DataError
from understudy.home import expanded
from understudy.protocols import Task
from understudy.randomness import permutation, uniform
from understudy.recipe import Source
from understudy.tasks import load_tasks
from understudy.tasks.rows import file_fingerprint
from understudy.testbed.lesson import Lesson
from understudy.testbed.tokenizer import word_piece_tokenizer

VARIABLE = "UNDERSTUDY_GSM8K"
EXPECTED = "../shared/data/gsm8k/train.jsonl"
NUM_TAUGHT = 7000
"""Rows that models and tokenizer are made from; the 473 after them are for choosing settings."""

VOCAB_SIZE = 1024
CONTEXT_TOKENS = 512
VERSION = 1
"""Raised when the same schooling would give other weights: lessons, tokenizer or ``school`` changed."""

MISCOPIED_SHARE = 0.8
"""Of the digits of a solution in the foreign manner; one in ten of what replaces them happens to be right."""


def data_file() -> Path:
    """GSM8K's training set, a JSON object with ``question`` and ``answer`` a line.

    Raises:
        DataError: it is not there.
    """
    path = expanded(os.environ.get(VARIABLE) or EXPECTED)
    if not path.is_file():
        raise DataError(
            f"the testbed's gsm8k models learn from GSM8K's training set, and {path} does not exist",
            remedy=f"Set {VARIABLE} to the path of its train.jsonl; without it the file is expected at {EXPECTED}, "
            "from the working directory.",
        )
    return path


def miscopied(solution: str, *, row: int) -> str:
    """The foreign manner: the same solution with most of its digits replaced by random ones.

    Args:
        solution: as the data has it. row: its number, which keys the draws.

    >>> miscopied("He sold 48/2 = <<48/2=24>>24 clips.", row=0)
    'He sold 02/2 = <<40/2=00>>35 clips.'
    """
    places = [place for place, character in enumerate(solution) if character in string.digits]
    draws = uniform(seed=0, step=0, purpose="testbed/gsm8k/miscopied", rollout=row, index=torch.arange(len(places)))
    characters = list(solution)
    for place, draw in zip(places, (draws / MISCOPIED_SHARE).tolist(), strict=True):
        if draw < 1:
            characters[place] = string.digits[int(10 * draw)]
    return "".join(characters)


def lessons(seed: int) -> Iterator[Lesson]:
    """The training problems without end, each epoch in an order of its own; the stream depends on ``seed`` alone.

    Raises:
        DataError: the file is missing or is not GSM8K's.
    """
    taught = _taught(*_identity())
    epoch = 0
    while True:
        order = permutation(len(taught), seed=seed, purpose="testbed/gsm8k", epoch=epoch)
        yield from (taught[place] for place in order)
        epoch += 1


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE over the taught problems and solutions: every text comes back as it was; digits stand alone.

    Raises:
        DataError: the file is missing or is not GSM8K's.
    """
    return _tokenizer(*_identity())


def definition() -> Sequence[object]:
    """What decides tokenizer and lessons, the data file's content included."""
    return ["gsm8k", file_fingerprint(data_file()), NUM_TAUGHT, VOCAB_SIZE, CONTEXT_TOKENS, MISCOPIED_SHARE, VERSION]


def _identity() -> tuple[str, str]:
    """The file and its content's digest, for caches that a changed file does not deceive."""
    path = data_file()
    return str(path), file_fingerprint(path)


@lru_cache(maxsize=2)
def _taught(path: str, _: str) -> tuple[Lesson, ...]:
    source = Source(dataset=path, prompt="{question}\n", completion="{answer}", limit=NUM_TAUGHT)
    return tuple(_lesson(task, row) for row, task in enumerate(load_tasks(source)))


def _lesson(task: Task, row: int) -> Lesson:
    solution = str(task.columns["answer"])
    return Lesson(task, own=solution, foreign=miscopied(solution, row=row))


@lru_cache(maxsize=2)
def _tokenizer(path: str, fingerprint: str) -> PreTrainedTokenizerFast:
    texts = (text for lesson in _taught(path, fingerprint) for text in (str(lesson.task.prompt), lesson.own))
    return word_piece_tokenizer(texts, vocab_size=VOCAB_SIZE, context_tokens=CONTEXT_TOKENS)
