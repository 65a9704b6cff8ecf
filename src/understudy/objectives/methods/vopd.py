"""vOPD: on-policy distillation with the exact divergence of each state as its baseline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.needs import needs_of, requires
from understudy.objectives.objective import Objective
from understudy.objectives.row_divergences import exact_reverse_kl, top_k_reverse_kl
from understudy.objectives.signals import ROUNDING, teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.tokens import TokenTable


class VOPD(MethodConfig):
    """On-policy distillation with a control variate.

    Args:
        baseline: ``exact`` takes KL(S||T) over the vocabulary; ``top_k`` its part on the student's likeliest tokens,
            which needs no more of the teacher than log-probs at chosen ids.
        top_k: tokens of the ``top_k`` baseline; their number is our choice.
    """

    method: Literal["vopd"] = "vopd"
    baseline: Literal["exact", "top_k"] = "exact"
    top_k: int = Field(default=64, ge=1)


def vopd(config: VOPD) -> Objective:
    """Sampled reverse KL with a baseline: A_t = (log T - log S)(y_t) + KL(S||T), zero in the mean of each state.

    The expected gradient is that of KL(S||T) at each visited state, as in ``opd``, whatever the baseline; with the
    exact one the advantage has mean zero at each state, and its variance falls (identity 12 of
    docs/methods/identities.md).

    Source: vOPD, arXiv:2605.07865.
    """
    divergence = exact_reverse_kl() if config.baseline == "exact" else top_k_reverse_kl(config.top_k)
    return config.objective({"policy": policy_gradient(signal=teacher_log_ratio(), baseline=_mean_of(divergence))})


def _mean_of(divergence: Slot) -> Slot:
    """The log ratio's mean at each state, minus the divergence; exactly zero where that is rounding."""

    @requires(needs=needs_of(divergence))
    def baseline(table: TokenTable, context: PlanContext) -> Tensor:
        value = divergence(table, context)
        return -value.masked_fill(value.abs() < ROUNDING, 0.0)

    return baseline
