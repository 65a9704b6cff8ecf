"""Two sides' scores brought together by problem; what only one of them has is counted and named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.comparing.marks import Marks
from understudy.errors import DataError
from understudy.evaluation.suites import Better

Missing = Literal["zero", "drop"]
"""What becomes of a problem that one side never answered: it scores 0 there, or the problem is left out."""


@dataclass(frozen=True)
class Pairs:
    """Scores of the same problems, in the same order.

    Args:
        problems, a, b: one of each a problem. missing_a, missing_b: problems that side never answered.
        ungraded: problems that a side answered and nothing graded; they are left out, whatever the rule.
        rule: for the missing. single: whether all of it is one yes-or-no answer a problem.
        share: whether all scores lie in [0, 1], higher being better.
    """

    suite: str
    better: Better
    problems: tuple[str, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    missing_a: tuple[str, ...]
    missing_b: tuple[str, ...]
    ungraded: tuple[str, ...]
    rule: Missing
    single: bool
    share: bool

    @property
    def gains(self) -> tuple[float, ...]:
        """How much better the first did on each problem; positive is better, whichever direction the suite has."""
        sign = 1.0 if self.better == "higher" else -1.0
        return tuple(sign * (a - b) for a, b in zip(self.a, self.b, strict=True))


def pair_up(first: Marks, second: Marks, *, missing: Missing = "zero") -> Pairs:
    """The problems of two sides, in the order of the first, then those only the second has.

    Args:
        missing: ``zero`` gives a side that never answered a problem the score 0 on it; ``drop`` leaves the problem out.
    Raises:
        DataError: no problem in common, or a direction or range of scores in which 0 is not the worst.
    """
    _check(first, second)
    ungraded = {*first.ungraded, *second.ungraded}
    every = list(dict.fromkeys([name for side in (first, second) for name in side.every]))
    missing_a, missing_b = ([problem for problem in every if problem not in side.known] for side in (first, second))
    lacking = {*missing_a, *missing_b}
    if missing == "zero" and lacking - ungraded and not (first.share and second.share):
        raise DataError(
            f"{_quoted(sorted(lacking))} of suite {first.suite!r} have an answer on one side only, and a score of 0 "
            "is not the worst there",
            remedy="Leave them out with --missing drop.",
        )
    left_out = ungraded | (lacking if missing == "drop" else set())
    problems = tuple(problem for problem in every if problem not in left_out)
    return Pairs(
        suite=first.suite,
        better=first.better,
        problems=problems,
        a=tuple(first.scores.get(problem, 0.0) for problem in problems),
        b=tuple(second.scores.get(problem, 0.0) for problem in problems),
        missing_a=tuple(missing_a),
        missing_b=tuple(missing_b),
        ungraded=tuple(problem for problem in every if problem in ungraded),
        rule=missing,
        single=first.single and second.single,
        share=first.share and second.share,
    )


def _check(first: Marks, second: Marks) -> None:
    if first.better != second.better:
        raise DataError(
            "two suites that do not agree on which score is better cannot be compared",
            got=f"{first.better} ({first.source}) and {second.better} ({second.source})",
        )
    if not first.scores.keys() & second.scores.keys():
        raise DataError(
            f"{first.source} and {second.source} have no graded problem in common",
            got=f"{len(first.scores)} and {len(second.scores)} graded problems",
            expected="the same problems answered by both models",
        )


def _quoted(names: Sequence[str], *, limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(map(repr, names[:limit])) + more
