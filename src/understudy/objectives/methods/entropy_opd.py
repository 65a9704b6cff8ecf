"""On-policy distillation on the tokens where the student is least sure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens, top_entropy, top_entropy_within
from understudy.objectives.methods.config import GatedConfig
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient


class EntropyOPD(GatedConfig):
    """On-policy distillation on the tokens of highest student entropy.

    Args:
        share: of tokens that are kept; 20 % is the source's.
        over: the share is drawn over the ``batch`` on all ranks, as in the source, or over each ``rollout``, as the
            code of Revisiting OPD does.
        denominator: of the mean, ``all`` response tokens, our choice, or the ``gated`` ones, those that are kept.
    """

    method: Literal["entropy_opd"] = "entropy_opd"
    share: float = Field(default=0.2, gt=0, le=1)
    over: Literal["batch", "rollout"] = "batch"


def entropy_opd(config: EntropyOPD) -> Objective:
    """A_t = 1[H(pi_S at t) in the top share] (log pi_T - log pi_S)(y_t): OPD where the student hesitates.

    The expected gradient is that of KL(S||T) at the visited states whose entropy reaches the batch's threshold; with
    ``over: rollout`` the threshold depends on the rollout's later tokens, and no divergence has this gradient.

    Source: Wang et al., arXiv:2506.01939 (the gate, there for reinforcement learning); as a baseline of OPD in
        TrOPD, arXiv:2606.01249.
    """
    unsure = top_entropy(config.share) if config.over == "batch" else top_entropy_within(config.share)
    return config.objective({"policy": policy_gradient(signal=teacher_log_ratio(), gate=student_tokens & unsure)})
