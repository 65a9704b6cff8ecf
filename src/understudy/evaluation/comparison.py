"""Two models on the same problems: wins, ties, losses."""

from __future__ import annotations

from understudy.errors import DataError
from understudy.evaluation.statistics import Paired, paired
from understudy.evaluation.suites import SuiteResult

TIE = 1e-9  # per-problem means closer than this are equal; they differ by rounding only


def compare(first: SuiteResult, second: SuiteResult, *, tie: float = TIE) -> Paired:
    """How ``first`` does against ``second``, paired by problem; a win is a better mean score on a problem.

    Args:
        first, second: results of one suite by two models, usually after and before training.
        tie: scores at most this far apart are a tie.
    Raises:
        DataError: the suites differ in their problems or in which direction is better.
    """
    if first.better != second.better:
        raise DataError(
            "two suites that do not agree on which score is better cannot be compared",
            got=f"{first.better} ({first.name}) and {second.better} ({second.name})",
        )
    _check_same_problems(first, second)
    sign = 1.0 if first.better == "higher" else -1.0
    differences = [sign * (score - second.scores[problem]) for problem, score in first.scores.items()]
    wins = sum(difference > tie for difference in differences)
    losses = sum(difference < -tie for difference in differences)
    return paired(wins, len(differences) - wins - losses, losses)


def _check_same_problems(first: SuiteResult, second: SuiteResult) -> None:
    ours, theirs = set(first.scores), set(second.scores)
    if ours == theirs:
        return
    only = sorted(ours ^ theirs)
    raise DataError(
        "the two results are not of the same problems",
        got=f"{len(ours)} and {len(theirs)} problems, {len(only)} of them in one result only, such as {only[0]!r}",
        expected="one score a problem from both",
        remedy="Evaluate both models on the same suite with the same limit.",
    )
