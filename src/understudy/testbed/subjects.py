"""What a family of testbed models is taught: its tokenizer, its endless lessons, and what defines them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from understudy.protocols import Task
from understudy.testbed import gsm8k, multiplication, tokenizer
from understudy.testbed.lesson import Lesson


@dataclass(frozen=True)
class Subject:
    """What the models of one family have in common.

    Args:
        build_tokenizer: gives the family's tokenizer. lessons: (seed) -> problems without end, each with its solution
            in two manners. vocab_size: of the tokenizer. context_tokens: longest text that the models read.
        definition: gives what decides tokenizer and lessons, in JSON's types; a digest of it names the models' folders.
    """

    build_tokenizer: Callable[[], PreTrainedTokenizerFast]
    lessons: Callable[[int], Iterator[Lesson]]
    vocab_size: int
    context_tokens: int
    definition: Callable[[], Sequence[object]]


def _products(seed: int) -> Iterator[Lesson]:
    for problem in multiplication.draw_problems("train", seed=seed):
        manners = multiplication.carried_solution(problem), multiplication.foreign_solution(problem)
        yield Lesson(Task(problem.name, problem.prompt), *manners)


MULTIPLICATION_VERSION = 1
"""Raised when the same schooling would give other weights: the task, the tokenizer's making or ``school`` changed."""

SUBJECTS: Mapping[str, Subject] = {
    "multiplication": Subject(
        build_tokenizer=tokenizer.build_tokenizer,
        lessons=_products,
        vocab_size=len(tokenizer.SPECIALS) + len(tokenizer.CHARACTERS),
        context_tokens=tokenizer.CONTEXT_TOKENS,
        definition=lambda: [tokenizer.SPECIALS, tokenizer.CHARACTERS, MULTIPLICATION_VERSION],
    ),
    "gsm8k": Subject(
        build_tokenizer=gsm8k.build_tokenizer,
        lessons=gsm8k.lessons,
        vocab_size=gsm8k.VOCAB_SIZE,
        context_tokens=gsm8k.CONTEXT_TOKENS,
        definition=gsm8k.definition,
    ),
}
"""By the name that a ``Schooling`` gives."""
