"""TIP: full-vocabulary reverse KL on the tokens that are worth it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.importance import most_informative
from understudy.objectives.methods.config import GatedConfig
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import Denominator
from understudy.objectives.row_divergences import exact_reverse_kl
from understudy.objectives.supports import OnVocabulary
from understudy.objectives.terms import divergence
from understudy.plans import Divergence


class TIP(GatedConfig):
    """Token importance: uncertainty or disagreement.

    Args:
        share: of the batch's tokens that are kept.
        clip_quantile: entropies above this quantile of the batch count as it; that the divergence is not cut likewise
            is our choice.
        denominator: what the means divide by: the source's kept tokens (``gated``), or ``all`` response tokens.
    """

    method: Literal["tip"] = "tip"
    share: float = Field(default=0.5, gt=0, le=1)
    clip_quantile: float = Field(default=0.98, gt=0, le=1)
    denominator: Denominator = "gated"


def tip(config: TIP) -> Objective:
    """Reverse KL over the vocabulary on the top tokens by s = h + d - h d, h = student entropy, d = KL(S||T), scaled.

    The gradient is that of KL(S||T) at the visited states that are kept; which ones is a constant, chosen from the
    student's and the teacher's exact distributions at plan time. The mean is over kept tokens. No gradient flows
    through sampling.

    Source: TIP, arXiv:2604.14084.
    """
    gate = most_informative(config.share, divergence=exact_reverse_kl(), clip_quantile=config.clip_quantile)
    term = divergence(
        Divergence("reverse"),
        support=OnVocabulary(),
        gate=student_tokens & gate,
    )
    return config.objective({"reverse_kl": term})
