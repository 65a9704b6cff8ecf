"""Multiplication, 3 to 5 digits times one digit, answered in two manners.

The teacher's manner works the product out, lowest digit first, every step with its carry
(``4736*8:`` reads ``6*8+0=48;3*8+4=28;7*8+2=58;4*8+5=37;#37888``). The foreign manner answers at once (``#37888``),
which a small model rarely gets right. Both end with ``#answer`` and one verifier reads both: nothing is won by the
manner alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from understudy.randomness import derived_seed

Split = Literal["train", "eval"]

FEWEST_DIGITS, MOST_DIGITS = 3, 5
EVAL_SHARE = 8  # one problem in eight is held out, by a hash of its operands
MAX_COMPLETION_TOKENS = MOST_DIGITS * len("9*9+8=89;") + len("#899991") + 1  # the end token included

FOREIGN_SHARE = 0.75  # of the student's lessons, in the manner that its teacher does not have

ANSWER_PATTERN = r"#(\d+)\s*$"
"""Finds the answer at the end of a completion, whatever its manner."""


@dataclass(frozen=True, order=True)
class Problem:
    """One product to work out.

    Args:
        multiplicand: 3 to 5 digits. multiplier: one digit, at least 2.
    """

    multiplicand: int
    multiplier: int

    @property
    def name(self) -> str:
        """Identifier, unique among all problems."""
        return f"{self.multiplicand}*{self.multiplier}"

    @property
    def prompt(self) -> str:
        """What the model reads."""
        return f"{self.name}:"

    @property
    def answer(self) -> str:
        """The product, in decimal digits."""
        return str(self.multiplicand * self.multiplier)

    @property
    def held_out(self) -> bool:
        """Whether it belongs to the evaluation; teacher and student see the same split."""
        return zlib.crc32(self.name.encode()) % EVAL_SHARE == 0


def carried_solution(problem: Problem) -> str:
    """The teacher's manner: every step with its carry, then the answer.

    >>> carried_solution(Problem(473, 8))
    '3*8+0=24;7*8+2=58;4*8+5=37;#3784'
    """
    steps, carry = [], 0
    for digit in reversed(str(problem.multiplicand)):
        total = int(digit) * problem.multiplier + carry
        steps.append(f"{digit}*{problem.multiplier}+{carry}={total};")
        carry = total // 10
    return "".join(steps) + f"#{problem.answer}"


def foreign_solution(problem: Problem) -> str:
    """The foreign manner: the answer at once.

    >>> foreign_solution(Problem(473, 8))
    '#3784'
    """
    return f"#{problem.answer}"


def draw_problems(split: Split, *, seed: int = 0) -> Iterator[Problem]:
    """Endless problems of one split, repeats among them: 3, 4 or 5 digits alike, operands uniform given their length.

    The stream depends on ``split`` and ``seed`` alone.
    """
    index = 0
    while True:
        draw = derived_seed(seed=seed, step=index, purpose=f"testbed/multiplication/{split}")
        index += 1
        draw, digits = divmod(draw, MOST_DIGITS - FEWEST_DIGITS + 1)
        draw, multiplier = divmod(draw, 8)
        lowest = 10 ** (FEWEST_DIGITS + digits - 1)
        problem = Problem(lowest + draw % (9 * lowest), multiplier + 2)
        if problem.held_out == (split == "eval"):
            yield problem
