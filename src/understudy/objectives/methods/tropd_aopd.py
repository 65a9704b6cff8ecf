"""TrOPD with AOPD's reinforcement of what the teacher prefers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.tropd import TrustRegionConfig, trust_terms
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.objectives.trust import probability_gap_above


class TrOPDAOPD(TrustRegionConfig):
    """TrOPD with AOPD's objective on the tokens that AOPD reinforces.

    The paper gives this sum no formula: that AOPD's term stands once more on its tokens is our reading.

    Args:
        aopd_tau: gap of probabilities pi_T(y) - pi_S(y) above which a token is reinforced once more; AOPD's 0.
        aopd_weight: of the second term; 1 is our choice, the paper names none.
    """

    method: Literal["tropd_aopd"] = "tropd_aopd"
    aopd_tau: float = Field(default=0.0, ge=-1, le=1)
    aopd_weight: float = Field(default=1.0, gt=0)


def tropd_aopd(config: TrOPDAOPD) -> Objective:
    """TrOPD's loss, and -w A log pi_S once more where pi_T(y) - pi_S(y) > aopd_tau, A = log pi_T - log pi_S.

    Those tokens have u > 1 for aopd_tau >= 0, so TrOPD trusts them all: their pull is 1 + w times OPD's. The expected
    gradient is TrOPD's and w times that of the policy gradient of A over the tokens v with T_v - S_v > aopd_tau.

    Source: TrOPD, arXiv:2606.01249, table 6; AOPD, arXiv:2605.06387.
    """
    reinforced = policy_gradient(
        signal=teacher_log_ratio(),
        gate=student_tokens & probability_gap_above(config.aopd_tau),
        coefficient=config.aopd_weight,
    )
    return config.objective({**trust_terms(config), "reinforced": reinforced}, writing=config.writing())
