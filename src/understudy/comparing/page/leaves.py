"""The leaves of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from understudy.comparing.contest import Contest
from understudy.comparing.page.answered import with_answers
from understudy.comparing.page.leaf import Leaf
from understudy.comparing.page.office_leaf import with_work
from understudy.comparing.report import Comparison


def leaves_of(comparison: Comparison) -> Iterator[Leaf]:
    """The leaves of a comparison, suite by suite, in the order of the first side."""
    for contest in comparison.contests:
        for problem in _problems(contest):
            leaf = _bare(contest, problem, comparison)
            if comparison.a.office is not None and comparison.b.office is not None:
                yield with_work(leaf, comparison.a.office, comparison.b.office)
            else:
                yield with_answers(leaf, comparison.a, comparison.b)


def _problems(contest: Contest) -> Sequence[str]:
    pairs = contest.pairs
    return tuple(dict.fromkeys([*pairs.problems, *pairs.ungraded, *pairs.missing_a, *pairs.missing_b]))


def _bare(contest: Contest, problem: str, comparison: Comparison) -> Leaf:
    pairs = contest.pairs
    verdict = contest.outcome(problem, epsilon=comparison.terms.epsilon)
    score_a, score_b = (side.marks[contest.suite].scores.get(problem) for side in (comparison.a, comparison.b))
    reasons = [
        "not answered by A" if problem in pairs.missing_a else "",
        "not answered by B" if problem in pairs.missing_b else "",
        "ungraded" if problem in pairs.ungraded else "",
    ]
    return Leaf(
        suite=contest.suite,
        problem=problem,
        verdict=verdict,
        why=", ".join(filter(None, reasons)),
        score_a=score_a,
        score_b=score_b,
    )
