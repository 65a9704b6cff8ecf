"""The two-turn toy: say the digit that is shown, then say it again, in both of the environment's styles."""

from __future__ import annotations

from collections.abc import Iterator

from transformers import PreTrainedTokenizerFast

from understudy.environments.toy import CHARACTERS
from understudy.protocols import Task
from understudy.randomness import derived_seed
from understudy.recipe import EnvironmentConfig, Suite
from understudy.testbed.lesson import Lesson
from understudy.testbed.tokenizer import EOS, SPECIALS, character_tokenizer

DATASET = "testbed/remember-digit"
CONTEXT_TOKENS = 48
VOCAB_SIZE = len(SPECIALS) + len(CHARACTERS)
MAX_COMPLETION_TOKENS = 2  # the digit and the end token
VERSION = 1
"""Raised when the same schooling would give other weights: lessons, tokenizer or ``school`` changed."""


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One id a character of the environment."""
    return character_tokenizer(CHARACTERS, context_tokens=CONTEXT_TOKENS)


def lessons(seed: int) -> Iterator[Lesson]:
    """Endless turns of the environment: its own manner says the right digit, the foreign one a wrong one.

    First and second turns, right and wrong first answers, fresh and growing prompts come in turn. After a wrong first
    answer a fresh second prompt does not tell the digit, so that any other digit is as good.
    """
    index = 0
    while True:
        draw = derived_seed(seed=seed, step=index, purpose="testbed/remember-digit")
        draw, digit = divmod(draw, 10)
        draw, apart = divmod(draw, 9)
        wrong = (digit + 1 + apart) % 10
        said = digit if draw % 4 else wrong
        first = f"digit {digit}:"
        second = f"said {said} {'ok' if said == digit else 'no'}:"
        prompt = (first, second, f"{first}{said}{EOS}{second}")[index % 3]
        yield Lesson(Task(f"turn-{index}", prompt), own=str(digit), foreign=str(wrong))
        index += 1


def definition() -> list[object]:
    """What decides tokenizer and lessons."""
    return [SPECIALS, CHARACTERS, VERSION]


def suite() -> Suite:
    """Every digit twenty times at temperature 1, solved when both turns are right."""
    return Suite(
        name="remember-digit",
        dataset=DATASET,
        split="eval",
        num_samples=20,
        temperature=1.0,
        max_completion_length=MAX_COMPLETION_TOKENS,
        environment=EnvironmentConfig(kind="remember_digit"),
    )
