"""Asymmetric on-policy distillation: reinforce what the teacher prefers, imitate where it prefers something else."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import ReductionName
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.supports import teacher_top_k
from understudy.objectives.terms import Term, divergence, policy_gradient
from understudy.objectives.trust import probability_gap_above
from understudy.plans import Divergence


class AOPD(MethodConfig):
    """Asymmetric on-policy distillation.

    Args:
        tau: gap of probabilities pi_T(y) - pi_S(y) above which a token is reinforced; 0 is the paper's. -1 reinforces
            every token and is ``opd``, 1 imitates everywhere and is forward KL on the teacher's top_k.
        top_k: the teacher's most likely tokens in the forward KL. The paper's number is not known; 64 is our choice.
        support: whether probabilities on those tokens count as they are (``raw``), the teacher's are scaled to sum to 1
            (``target_renormalised``), or both (``renormalised``). Not known either; ``raw`` is our choice.
        reduction: the paper's mean over sequences of means over their tokens.
    """

    method: Literal["aopd"] = "aopd"
    tau: float = Field(default=0.0, ge=-1, le=1)
    top_k: int = Field(default=64, ge=1)
    support: Literal["raw", "target_renormalised", "renormalised"] = "raw"
    reduction: ReductionName = "sequence_mean_token_mean"


def aopd(config: AOPD) -> Objective:
    """L = -A log pi_S where pi_T(y) - pi_S(y) > tau, A = log pi_T - log pi_S; elsewhere forward KL on the top-k tokens.

    The expected gradient at every visited state is that of the policy gradient of A over the tokens v with
    T_v - S_v > tau, plus the student's probability of the other tokens times the forward KL's. The policy gradient has
    the importance ratio of ``opd``, the forward KL none.

    Source: AOPD, arXiv:2605.06387, eq. 7-11.
    """
    prefers = probability_gap_above(config.tau)
    terms: dict[str, Term] = {}
    if config.tau < 1:  # no gap of two probabilities is larger
        gate = student_tokens if config.tau == -1 else student_tokens & prefers
        terms["reinforced"] = policy_gradient(signal=teacher_log_ratio(), gate=gate)
    if config.tau > -1:
        terms["imitated"] = divergence(
            Divergence("forward", support=config.support),
            support=teacher_top_k(config.top_k),
            gate=student_tokens & ~prefers,
        )
    return config.objective(terms)
