"""What a family of testbed models is taught: its tokenizer, its endless lessons, and what defines them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from understudy.testbed import gsm8k, pieces, remembering, tiny_household, tiny_worlds, tokenizer, two_tasks, wordy
from understudy.testbed.lesson import Lesson, PlayedLesson


@dataclass(frozen=True)
class Subject:
    """What the models of one family have in common.

    Args:
        build_tokenizer: gives the family's tokenizer. lessons: (seed) -> problems without end, each with its solution
            in two manners, or as a whole episode. vocab_size: of the tokenizer. context_tokens: longest text that the
            models read.
        definition: gives what decides tokenizer and lessons, in JSON's types; a digest of it names the models' folders.
    """

    build_tokenizer: Callable[[], PreTrainedTokenizerFast]
    lessons: Callable[[int], Iterator[Lesson]] | Callable[[int], Iterator[PlayedLesson]]
    vocab_size: int
    context_tokens: int
    definition: Callable[[], Sequence[object]]


MULTIPLICATION_VERSION = 1
"""Raised when the same schooling would give other weights: the task, the tokenizer's making or ``school`` changed."""

SUBJECTS: Mapping[str, Subject] = {
    "multiplication": Subject(
        build_tokenizer=tokenizer.build_tokenizer,
        lessons=two_tasks.products,
        vocab_size=len(tokenizer.SPECIALS) + len(tokenizer.CHARACTERS),
        context_tokens=tokenizer.CONTEXT_TOKENS,
        definition=lambda: [tokenizer.SPECIALS, tokenizer.CHARACTERS, MULTIPLICATION_VERSION],
    ),
    "multiplication-pieces": Subject(
        build_tokenizer=pieces.build_tokenizer,
        lessons=two_tasks.products,
        vocab_size=pieces.VOCAB_SIZE,
        context_tokens=tokenizer.CONTEXT_TOKENS,
        definition=pieces.definition,
    ),
    "gsm8k": Subject(
        build_tokenizer=gsm8k.build_tokenizer,
        lessons=gsm8k.lessons,
        vocab_size=gsm8k.VOCAB_SIZE,
        context_tokens=gsm8k.CONTEXT_TOKENS,
        definition=gsm8k.definition,
    ),
    "remember-digit": Subject(
        build_tokenizer=remembering.build_tokenizer,
        lessons=remembering.lessons,
        vocab_size=remembering.VOCAB_SIZE,
        context_tokens=remembering.CONTEXT_TOKENS,
        definition=remembering.definition,
    ),
    "two-tasks": Subject(
        build_tokenizer=tokenizer.build_tokenizer,
        lessons=two_tasks.lessons,
        vocab_size=len(tokenizer.SPECIALS) + len(tokenizer.CHARACTERS),
        context_tokens=tokenizer.CONTEXT_TOKENS,
        definition=lambda: ["two-tasks", tokenizer.SPECIALS, tokenizer.CHARACTERS, two_tasks.VERSION],
    ),
    "two-tasks-untidy": Subject(
        build_tokenizer=tokenizer.build_tokenizer,
        lessons=two_tasks.untidy_lessons,
        vocab_size=len(tokenizer.SPECIALS) + len(tokenizer.CHARACTERS),
        context_tokens=tokenizer.CONTEXT_TOKENS,
        definition=lambda: ["two-tasks-untidy", tokenizer.SPECIALS, tokenizer.CHARACTERS, two_tasks.VERSION],
    ),
    "wordy-two-tasks": Subject(
        build_tokenizer=wordy.build_tokenizer,
        lessons=two_tasks.wordy_lessons,
        vocab_size=wordy.VOCAB_SIZE,
        context_tokens=wordy.CONTEXT_TOKENS,
        definition=wordy.definition,
    ),
    **{
        name: Subject(
            build_tokenizer=tiny_worlds.tokenizer_of(name),
            lessons=tiny_worlds.lessons_of(name),
            vocab_size=len(tokenizer.SPECIALS) + len(world.words()),
            context_tokens=tiny_worlds.CONTEXT_TOKENS,
            definition=tiny_worlds.definition_of(name),
        )
        for name, world in tiny_worlds.WORLDS.items()
    },
    **{
        name: Subject(
            build_tokenizer=tiny_household.tokenizer,
            lessons=tiny_household.lessons_of(name),
            vocab_size=len(tokenizer.SPECIALS) + len(tiny_household.VOCABULARY),
            context_tokens=tiny_household.CONTEXT_TOKENS,
            definition=tiny_household.definition_of(name),
        )
        for name in tiny_household.OFF_PLAN
    },
}
"""By the name that a ``Schooling`` gives."""
