"""The policy under some of its weights, as a scorer: itself, its start, or its average."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from understudy.protocols import Capabilities, ScoreRequest, Scores, Weights

if TYPE_CHECKING:
    from understudy.engines.local.policy import LocalPolicy


@dataclass(frozen=True, eq=False)
class PolicyScorer:
    """Implements ``Scorer``.

    Args:
        policy: whose weights. weights: which of them; looked up anew at each call.
    """

    policy: LocalPolicy
    weights: Weights

    @property
    def capabilities(self) -> Capabilities:
        """Those of the policy."""
        return self.policy.capabilities

    @property
    def fingerprint(self) -> str:
        """The policy's, and which weights; that of the start never changes."""
        if self.weights == "initial":
            return self.policy.loaded.fingerprint
        return self.policy.fingerprint + (":ema" if self.weights == "ema" else "")

    def score(self, request: ScoreRequest) -> Scores:
        """Exactly one row a requested row, in order; the start has version 0, whatever was published since."""
        scores = self.policy.score_under(self.weights, request, fingerprint=self.fingerprint)
        return replace(scores, version=0) if self.weights == "initial" else scores
