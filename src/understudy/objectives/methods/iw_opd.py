"""On-policy distillation in which earlier tokens weigh more, by what has gone amiss before each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.positions import remaining_disagreement
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient


class IWOPD(MethodConfig):
    """Importance-weighted on-policy distillation.

    Args:
        gamma: extra weight of a response's first token; it falls to 0 along the response. 0.5 is the paper's, 0 is
            ``opd``.
    """

    method: Literal["iw_opd"] = "iw_opd"
    gamma: float = Field(default=0.5, ge=0)


def iw_opd(config: IWOPD) -> Objective:
    """L = -w_t A_t log pi_S, w_t = 1 + gamma (1 - sum_{k<t} |A_k| / sum_k |A_k|), A = log pi_T - log pi_S.

    With the importance ratio of ``opd``. The expected gradient is that of the weighted sum over all rollouts, each with
    its own weights: w_t depends on the tokens after t too, so no divergence of states has this gradient unless gamma
    is 0, when it is that of KL(S||T).

    Source: IW-OPD, arXiv:2606.22600, algorithm 1.
    """
    policy = policy_gradient(signal=teacher_log_ratio(), weight=remaining_disagreement(config.gamma))
    return config.objective({"policy": policy})
