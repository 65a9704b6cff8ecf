"""Two models that each answered every problem once, right or wrong: the four cells and the exact test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from understudy.errors import DataError
from understudy.evaluation.statistics import sign_test


@dataclass(frozen=True)
class McNemar:
    """How often both, one or none of two models were right.

    Args:
        both, only_a, only_b, neither: numbers of problems. p_value: two-sided exact, of the problems where they differ.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    p_value: float

    def to_json(self) -> dict[str, float | int]:
        """The record as JSON."""
        return asdict(self)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """The exact McNemar test of one yes-or-no answer a problem from each of two models.

    >>> mcnemar([True, True, False, True], [True, False, False, False])
    McNemar(both=1, only_a=2, only_b=0, neither=1, p_value=0.5)

    Raises:
        DataError: different numbers of problems.
    Source: McNemar, Psychometrika 12 (1947); exact as the sign test on the problems where the two differ.
    """
    if len(first) != len(second):
        raise DataError("answers to different problems cannot be paired", got=f"{len(first)} and {len(second)}")
    cells = [(bool(a), bool(b)) for a, b in zip(first, second, strict=True)]
    only_a, only_b = cells.count((True, False)), cells.count((False, True))
    return McNemar(cells.count((True, True)), only_a, only_b, cells.count((False, False)), sign_test(only_a, only_b))
