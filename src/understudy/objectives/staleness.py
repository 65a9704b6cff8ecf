"""How far the student has moved from the sampler that wrote a token."""

from __future__ import annotations

from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import requires
from understudy.tokens import TokenTable


def sampler_ratio(cap: float) -> Slot:
    """min(pi_S / pi_sampler, cap) of the token at plan time, [N]; NaN for tokens that no sampler of the student chose.

    Source: truncated importance sampling, as SDPO (arXiv:2601.20802) weighs a divergence with it.
    """

    @requires("student_logprob")
    def weight(table: TokenTable, _: PlanContext) -> Tensor:
        return (table["student_logprob"] - table["behaviour_logprob"]).exp().clamp_max(cap)

    return weight
