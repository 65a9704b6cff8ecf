"""The entry for Python callers: ``us.compare``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from understudy.comparing.contest import Terms
from understudy.comparing.marks import marks_of
from understudy.comparing.pairing import Missing
from understudy.comparing.reading import Side, read_side
from understudy.comparing.report import Comparison, compare_sides
from understudy.evaluation.comparison import TIE
from understudy.evaluation.statistics import CONFIDENCE
from understudy.evaluation.suites import SuiteResult

Results = str | Path | SuiteResult | Sequence[SuiteResult]
"""A result file, a folder of them, a run, an office result, or what ``us.evaluate`` returned."""


def compare(
    a: Results,
    b: Results,
    *,
    margin: float | None = None,
    epsilon: float = TIE,
    missing: Missing = "zero",
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Comparison:
    """Compare two models on every suite both were put through, paired by problem.

    Args:
        a, b: the model in question, and the one to compare it with.
        margin: the largest loss of ``a`` that would not matter; asks for the equivalence test.
        epsilon: scores at most so far apart are a tie. missing: ``zero`` gives 0 to a side for a problem it never
            answered, ``drop`` leaves the problem out. confidence: of the intervals. seed: of the bootstrap.
    Raises:
        DataError: results that cannot be read or compared.
    """
    terms = Terms(epsilon=epsilon, missing=missing, margin=margin, confidence=confidence, seed=seed)
    return compare_sides(_side(a, "A"), _side(b, "B"), terms)


def _side(results: Results, label: str) -> Side:
    if isinstance(results, (str, Path)):
        return read_side(Path(results))
    found = [results] if isinstance(results, SuiteResult) else results
    by_name = {result.name: result for result in found}
    return Side(Path(label), label, {name: marks_of(each, Path(label)) for name, each in by_name.items()}, by_name)
