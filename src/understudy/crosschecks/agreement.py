"""What two harnesses found of one model on one suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from understudy.errors import DataError
from understudy.evaluation.statistics import Estimate, clustered_interval, mean_interval
from understudy.evaluation.suites import SuiteResult


@dataclass(frozen=True)
class Agreement:
    """Our figures beside theirs.

    Args:
        suite, harness, version: what was compared, with whom. ours, theirs: scores with intervals over problems.
        difference: ours less theirs, paired by problem, with its interval.
        num_apart: problems that the two score differently.
        num_texts_apart: problems with another completion; None where these are drawn, and so are never the same.
    """

    suite: str
    harness: str
    version: str
    ours: Estimate
    theirs: Estimate
    difference: Estimate
    num_apart: int
    num_texts_apart: int | None

    @property
    def agrees(self) -> bool:
        """Whether the difference is within sampling error: its interval holds zero, or there is none at all."""
        return self.num_apart == 0 or self.difference.low <= 0 <= self.difference.high

    def to_json(self) -> dict[str, object]:
        """The record as JSON."""
        figures = {name: getattr(self, name).to_json() for name in ("ours", "theirs", "difference")}
        return {**asdict(self), **figures, "agrees": self.agrees}


def agreement(
    result: SuiteResult,
    theirs: Mapping[str, tuple[float, str]],
    *,
    harness: str,
    version: str,
    is_greedy: bool,
) -> Agreement:
    """Compare by problem.

    Args:
        result: ours. theirs: score and completion of each problem. is_greedy: completions should be the same.
    Raises:
        DataError: the problems are not the same.
    """
    if set(theirs) != set(result.scores):
        only = sorted(set(theirs) ^ set(result.scores))
        raise DataError("the two harnesses did not answer the same problems", got=f"{len(only)}, such as {only[0]!r}")
    differences = [score - theirs[problem][0] for problem, score in result.scores.items()]
    texts = {sample.problem: sample.completions[-1:] for sample in result.samples}
    changed = sum(texts[problem] != (text,) for problem, (_, text) in theirs.items())
    return Agreement(
        suite=result.name,
        harness=harness,
        version=version,
        ours=result.estimate,
        theirs=clustered_interval([score for score, _ in theirs.values()]),
        difference=mean_interval(differences),
        num_apart=sum(abs(one) > 1e-9 for one in differences),
        num_texts_apart=changed if is_greedy else None,
    )
