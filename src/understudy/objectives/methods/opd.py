"""On-policy distillation: sampled-token reverse KL through a policy gradient."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient


class OPD(MethodConfig):
    """On-policy distillation as the Tinker recipe has it.

    Args:
        coefficient: scale of the advantage.
        discount: gamma of the sum over later tokens; 0 is the token-level gradient.
        reduction: the source sums tokens (``token_sum``); our default divides by their number.
    """

    method: Literal["opd"] = "opd"
    coefficient: float = Field(default=1.0, gt=0)
    discount: float = Field(default=0.0, ge=0, le=1)


def opd(config: OPD) -> Objective:
    """Sampled reverse KL: A_t = coefficient * (log pi_T - log pi_S)(y_t), loss -exp(log pi_S - log pi_sampler) A_t.

    With discount 0 the expected gradient is that of KL(S||T) at each visited state; with discount 1 and
    ``token_sum`` that of the reverse KL of whole sequences. No clip, no whitening, no centring.

    Source: Lu, Thinking Machines Lab, "On-Policy Distillation" (2025); tinker_cookbook/distillation/train_on_policy.py.
    """
    policy = policy_gradient(signal=teacher_log_ratio(), to_go=config.discount, coefficient=config.coefficient)
    return config.objective({"policy": policy})
