"""The two tasks told in words, over a byte-level BPE of 1,536 pieces: a vocabulary in which a top-k can miss something.

Names, things and the closing adjective are made-up words of a few syllables. The adjective is free: the teacher spreads
over 240 of them, so that at this one token its top 64 hold a quarter of its mass, while digits leave it no choice.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from transformers import PreTrainedTokenizerFast

from understudy.randomness import derived_seed
from understudy.testbed.multiplication import EVAL_SHARE, Split
from understudy.testbed.tokenizer import word_piece_tokenizer

VOCAB_SIZE = 1536
CONTEXT_TOKENS = 256
MAX_COMPLETION_TOKENS = 112
TAUGHT_TO_TOKENIZER = 6000
VERSION = 1
"""Raised when the same schooling would give other weights: tasks, words, tokenizer or ``school`` changed."""

ANSWER_PATTERN = r"(\d+) \w+ \w+\.\s*$"
"""Finds the last number of a solution, which two words follow."""

Kind = Literal["multiplication", "sorting"]
KINDS: tuple[Kind, ...] = ("multiplication", "sorting")

NUM_NAMES, NUM_THINGS, NUM_ADJECTIVES = 280, 320, 240
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "st", "pl", "gr")
_RHYMES = ("a", "e", "i", "o", "u", "an", "el", "or", "im", "us")

FIRST = ("First", "To begin,", "Start:")
NEXT = ("Then", "Next", "After that", "Now")
MAKES = ("makes", "gives", "comes to", "is")
CLOSING = ("So there are", "That leaves", "In all")


@dataclass(frozen=True, order=True)
class Story:
    """A product or a sorting, told.

    Args:
        kind: which of the two. digits: the multiplicand, or what is to be sorted. multiplier: 0 for sorting.
        name, thing: who and what it is about, numbers of words.
    """

    kind: Kind
    digits: str
    multiplier: int
    name: int
    thing: int

    @property
    def identifier(self) -> str:
        """Unique among all problems."""
        return f"{self.kind}/{self.digits}/{self.multiplier}/{self.name}/{self.thing}"

    @property
    def prompt(self) -> str:
        """What the model reads."""
        name, thing = names()[self.name], things()[self.thing]
        if self.kind == "sorting":
            return f"{name} puts the digits {self.digits} of the {thing} in order.\n"
        return f"{name} has {self.digits} {thing} in each of {self.multiplier} boxes. How many {thing} are in all?\n"

    @property
    def answer(self) -> str:
        """The product, or the digits in ascending order."""
        if self.kind == "sorting":
            return "".join(sorted(self.digits))
        return str(int(self.digits) * self.multiplier)

    @property
    def held_out(self) -> bool:
        """Whether it belongs to the evaluation: one in eight, by a hash of its digits."""
        return zlib.crc32(f"{self.kind}/{self.digits}*{self.multiplier}".encode()) % EVAL_SHARE == 0


def words(count: int, *, purpose: str, capital: bool = False) -> tuple[str, ...]:
    """So many different made-up words of two or three syllables; the same ones for the same purpose."""
    syllables = [onset + rhyme for onset, rhyme in itertools.product(_ONSETS, _RHYMES)]
    found: dict[str, None] = {}
    index = 0
    while len(found) < count:
        draw = derived_seed(seed=0, step=index, purpose=f"testbed/wordy/{purpose}")
        index += 1
        draw, more = divmod(draw, 2)
        word = ""
        for _ in range(2 + more):
            draw, place = divmod(draw, len(syllables))
            word += syllables[place]
        found.setdefault(word.capitalize() if capital else word)
    return tuple(found)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """Who a story is about."""
    return words(NUM_NAMES, purpose="names", capital=True)


@lru_cache(maxsize=1)
def things() -> tuple[str, ...]:
    """What it is about."""
    return words(NUM_THINGS, purpose="things")


@lru_cache(maxsize=1)
def adjectives() -> tuple[str, ...]:
    """How a story may close."""
    return words(NUM_ADJECTIVES, purpose="adjectives")


def own_solution(story: Story, *, telling: int = 0) -> str:
    """The teacher's manner: every step with its carry, lowest digit first, in freely chosen turns of phrase.

    Args:
        telling: number of the retelling, which keys the choices.

    >>> print(own_solution(Story("multiplication", "47", 8, 0, 0)))
    First 7 times 8 plus 0 makes 56. Now 4 times 8 plus 5 comes to 37. So there are 376 regel rustimgi.
    """
    choose = _Choices(f"{story.identifier}/{telling}")
    close = f"{story.answer} {choose(adjectives())} {things()[story.thing]}."
    if story.kind == "sorting":
        return f"{choose(CLOSING)} {close}"
    lines, carry = [], 0
    for place, digit in enumerate(reversed(story.digits)):
        total = int(digit) * story.multiplier + carry
        opening = choose(NEXT if place else FIRST)
        lines.append(f"{opening} {digit} times {story.multiplier} plus {carry} {choose(MAKES)} {total}.")
        carry = total // 10
    return " ".join([*lines, f"{choose(CLOSING)} {close}"])


def foreign_solution(story: Story, *, telling: int = 0) -> str:
    """Another manner of multiplying, longer and never the teacher's: the parts of the number, then their sums.

    >>> print(foreign_solution(Story("multiplication", "47", 8, 0, 0)))
    Take 40 and 7. 40 by 8: 320. 7 by 8: 56. 320 with 56: 376. Nabim holds 376 grelro rustimgi.
    """
    if story.kind == "sorting":
        return own_solution(story, telling=telling)
    choose = _Choices(f"foreign/{story.identifier}/{telling}")
    parts = [int(digit) * 10 ** (len(story.digits) - 1 - place) for place, digit in enumerate(story.digits)]
    lines = [f"Take {' and '.join(map(str, parts))}."]
    lines += [f"{part} by {story.multiplier}: {part * story.multiplier}." for part in parts]
    total = parts[0] * story.multiplier
    for part in parts[1:]:
        lines.append(f"{total} with {part * story.multiplier}: {total + part * story.multiplier}.")
        total += part * story.multiplier
    closing = f"{names()[story.name]} holds {story.answer} {choose(adjectives())} {things()[story.thing]}."
    return " ".join([*lines, closing])


def draw_stories(kind: Kind, split: Split, *, seed: int = 0) -> Iterator[Story]:
    """Endless stories of one kind and split: products of 2 or 3 digits, or 4 to 6 digits to sort."""
    index = 0
    while True:
        draw = derived_seed(seed=seed, step=index, purpose=f"testbed/wordy/{kind}/{split}")
        index += 1
        draw, more = divmod(draw, 6)
        draw, name = divmod(draw, NUM_NAMES)
        draw, thing = divmod(draw, NUM_THINGS)
        draw, multiplier = divmod(draw, 8)
        sorts = kind == "sorting"
        count = 4 + more % 3 if sorts else 2 + more % 2
        lowest = 0 if sorts else 10 ** (count - 1)
        number = lowest + draw % (10**count - lowest)
        story = Story(kind, f"{number:0{count}d}", 0 if sorts else multiplier + 2, name, thing)
        if story.held_out == (split == "eval"):
            yield story


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE learned from both tasks in both manners; digits stand alone, and every text comes back."""
    return word_piece_tokenizer(_texts(), vocab_size=VOCAB_SIZE, context_tokens=CONTEXT_TOKENS)


def definition() -> Sequence[object]:
    """What decides tasks and tokenizer."""
    return ["wordy", VOCAB_SIZE, CONTEXT_TOKENS, TAUGHT_TO_TOKENIZER, VERSION]


def _texts() -> Iterator[str]:
    for kind in KINDS:
        for story in itertools.islice(draw_stories(kind, "train"), TAUGHT_TO_TOKENIZER // 2):
            yield f"{story.prompt}{own_solution(story)}"
            yield foreign_solution(story)


class _Choices:
    """Free choices, one after the other, all from one draw that is keyed by the text they belong to."""

    def __init__(self, key: str) -> None:
        self._draw = derived_seed(seed=zlib.crc32(key.encode()), step=0, purpose="testbed/wordy/telling")

    def __call__(self, options: Sequence[str]) -> str:
        self._draw, place = divmod(self._draw, len(options))
        return options[place]
