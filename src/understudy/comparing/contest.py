"""One model against another on one suite: every figure that may be quoted, and what was left out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from understudy.comparing.asking import check_versions, differences
from understudy.comparing.marks import Marks
from understudy.comparing.pairing import Missing, Pairs, pair_up
from understudy.evaluation.comparison import TIE
from understudy.evaluation.differences import Difference, paired_difference
from understudy.evaluation.equivalence import Equivalence, paired_equivalence
from understudy.evaluation.mcnemar import McNemar, mcnemar
from understudy.evaluation.statistics import CONFIDENCE, Paired, paired

Outcome = Literal["win", "tie", "loss", "none"]
"""Of one problem, for the first side."""


@dataclass(frozen=True)
class Terms:
    """How two models are compared.

    Args:
        epsilon: scores at most so far apart are a tie. missing: what becomes of problems one side never answered.
        margin: the largest loss that would not matter, for the equivalence test. confidence: of the intervals.
        seed: of the bootstrap.
    """

    epsilon: float = TIE
    missing: Missing = "zero"
    margin: float | None = None
    confidence: float = CONFIDENCE
    seed: int = 0


@dataclass(frozen=True)
class Contest:
    """The first model against the second on one suite.

    Args:
        pairs: the scores. paired: wins, ties, losses of the first, and the sign test. difference: of the means.
        mcnemar: where each problem has one yes-or-no answer. equivalence: where a margin was given.
        holm_p_value: of the sign test, adjusted for the suites compared together. asked_differently: settings of the
            two sides that are not the same.
    """

    pairs: Pairs
    paired: Paired
    difference: Difference
    mcnemar: McNemar | None
    equivalence: Equivalence | None
    holm_p_value: float | None = None
    asked_differently: tuple[str, ...] = ()

    @property
    def suite(self) -> str:
        """Its name."""
        return self.pairs.suite

    def outcome(self, problem: str, *, epsilon: float = TIE) -> Outcome:
        """Whether the first won, tied or lost a problem; ``none`` where it was left out."""
        gain = self._gains.get(problem)
        if gain is None:
            return "none"
        return "win" if gain > epsilon else "loss" if gain < -epsilon else "tie"

    @cached_property
    def _gains(self) -> Mapping[str, float]:
        return dict(zip(self.pairs.problems, self.pairs.gains, strict=True))

    def to_json(self) -> dict[str, object]:
        """What ``understudy compare --json`` prints."""
        optional = {"mcnemar": self.mcnemar, "equivalence": self.equivalence}
        return {
            "suite": self.suite,
            "better": self.pairs.better,
            "n": len(self.pairs.problems),
            **self.paired.to_json(),
            **self.difference.to_json(),
            **{key: part.to_json() for key, part in optional.items() if part is not None},
            **({} if self.holm_p_value is None else {"holm_p_value": self.holm_p_value}),
            "missing_a": list(self.pairs.missing_a),
            "missing_b": list(self.pairs.missing_b),
            "missing_rule": self.pairs.rule,
            "ungraded": list(self.pairs.ungraded),
            "asked_differently": list(self.asked_differently),
        }


def contest(first: Marks, second: Marks, terms: Terms = Terms()) -> Contest:
    """Compare two models on one suite, paired by problem.

    Raises:
        DataError: no problem in common, or sides that cannot be compared.
    """
    check_versions(first, second)
    pairs = pair_up(first, second, missing=terms.missing)
    wins = sum(gain > terms.epsilon for gain in pairs.gains)
    losses = sum(gain < -terms.epsilon for gain in pairs.gains)
    test = None
    if terms.margin is not None:
        test = paired_equivalence(pairs.gains, margin=terms.margin, share=pairs.share, confidence=terms.confidence)
    return Contest(
        pairs=pairs,
        paired=paired(wins, len(pairs.problems) - wins - losses, losses, confidence=terms.confidence),
        difference=paired_difference(pairs.a, pairs.b, share=pairs.share, confidence=terms.confidence, seed=terms.seed),
        mcnemar=mcnemar([a == 1 for a in pairs.a], [b == 1 for b in pairs.b]) if pairs.single else None,
        equivalence=test,
        asked_differently=differences(first, second),
    )
