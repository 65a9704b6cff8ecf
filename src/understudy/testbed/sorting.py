"""Sorting, 4 to 7 digits into ascending order: the second task, in the characters of the first.

``40272>:`` reads ``#02247``. Both manners of multiplication end with ``#answer`` and so does this; nothing else is
shared, so that what training on one task does to the other can be seen.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from understudy.randomness import derived_seed
from understudy.testbed.multiplication import EVAL_SHARE, Split

FEWEST_DIGITS, MOST_DIGITS = 4, 7
MAX_COMPLETION_TOKENS = len("#") + MOST_DIGITS + 1  # the end token included


@dataclass(frozen=True, order=True)
class Digits:
    """Digits to put in order.

    Args:
        digits: 4 to 7 of them, a leading 0 among them or not.
    """

    digits: str

    @property
    def name(self) -> str:
        """Identifier, unique among all problems."""
        return f"{self.digits}>"

    @property
    def prompt(self) -> str:
        """What the model reads."""
        return f"{self.name}:"

    @property
    def answer(self) -> str:
        """The digits, smallest first.

        >>> Digits("40272").answer
        '02247'
        """
        return "".join(sorted(self.digits))

    @property
    def held_out(self) -> bool:
        """Whether it belongs to the evaluation: one in eight, by a hash."""
        return zlib.crc32(self.name.encode()) % EVAL_SHARE == 0


def sorted_solution(problem: Digits) -> str:
    """The answer at once.

    >>> sorted_solution(Digits("40272"))
    '#02247'
    """
    return f"#{problem.answer}"


def draw_digits(split: Split, *, seed: int = 0) -> Iterator[Digits]:
    """Endless problems of one split, repeats among them: all lengths alike, digits uniform."""
    index = 0
    while True:
        draw = derived_seed(seed=seed, step=index, purpose=f"testbed/sorting/{split}")
        index += 1
        draw, more = divmod(draw, MOST_DIGITS - FEWEST_DIGITS + 1)
        count = FEWEST_DIGITS + more
        problem = Digits(f"{draw % 10**count:0{count}d}")
        if problem.held_out == (split == "eval"):
            yield problem
