"""Entropy-aware on-policy distillation: forward KL is added where the teacher itself is unsure."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens, teacher_entropy_above
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import ppo_clip
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.supports import teacher_top_k
from understudy.objectives.terms import Term, divergence, policy_gradient
from understudy.plans import Divergence


class EOPD(MethodConfig):
    """Entropy-aware on-policy distillation.

    Args:
        alpha: weight of the forward KL; 1 is the paper's.
        tau: nats of the teacher's exact entropy above which the forward KL is added; 0.8 is the paper's, .inf is
            ``opd`` with a clip.
        top_k: the teacher's most likely tokens in the forward KL; 16 is the paper's.
        clip: of the importance ratio, 1 - clip to 1 + clip; 0.2 is our choice, the usual one; the paper gives
            no number.
    """

    method: Literal["eopd"] = "eopd"
    alpha: float = Field(default=1.0, gt=0)
    tau: float = Field(default=0.8, ge=0, allow_inf_nan=True)
    top_k: int = Field(default=16, ge=1)
    clip: float = Field(default=0.2, gt=0)


def eopd(config: EOPD) -> Objective:
    """L = max(-rho A, -clip(rho) A) + alpha 1[H(pi_T) > tau] sum_k T~_k (log T~_k - log S_k), T~ the teacher's top k.

    T~ sums to 1 on the top k, S is the student's full distribution. The expected gradient on the student's own
    samples is that of KL(S||T) at every visited state, and alpha times that of the forward KL where the teacher's
    entropy exceeds tau. Reverse KL is never switched off.

    Source: EOPD, arXiv:2603.07079, eq. 7-10.
    """
    terms: dict[str, Term] = {"policy": policy_gradient(signal=teacher_log_ratio(), ratio=ppo_clip(config.clip))}
    if config.tau < math.inf:
        terms["forward_kl"] = divergence(
            Divergence("forward", support="target_renormalised"),
            support=teacher_top_k(config.top_k),
            gate=student_tokens & teacher_entropy_above(config.tau),
            coefficient=config.alpha,
        )
    return config.objective(terms)
