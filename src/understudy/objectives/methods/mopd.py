"""Multi-teacher on-policy distillation: each domain's own teacher, and the domain's reward."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import icepop
from understudy.objectives.rewards import AdvantageName, group_advantage
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import RewardPart, policy_gradient


class MOPD(MethodConfig):
    """Multi-teacher on-policy distillation; the recipe's teacher routes each domain to its own.

    Args:
        alpha: weight of the reward's advantage beside the teacher's; 0 is distillation alone. The paper gives no
            number: 1 is our choice.
        advantage: of the reward, as in ``grpo``.
        icepop_low, icepop_high: tokens whose ratio of trainer to sampler is outside have no gradient.
        domain_weights: a coefficient for each teacher's domain; 1 where it is not named.
    """

    method: Literal["mopd"] = "mopd"
    alpha: float = Field(default=1.0, ge=0)
    advantage: AdvantageName = "std"
    icepop_low: float = Field(default=0.5, ge=0, le=1)
    icepop_high: float = Field(default=5.0, ge=1)


def mopd(config: MOPD) -> Objective:
    """A_t = log pi_T(domain) - log pi_S + alpha A_reward, loss -rho A with rho = pi_S / pi_sampler within [0.5, 5].

    REINFORCE: no other clip. Without reward, strictly on policy and under ``token_sum`` the expected gradient is that
    of KL(S||T) at each visited state, T the teacher of the state's domain; the reward adds alpha times that of
    ``grpo``. A teacher that equals the student leaves the reward alone.

    Source: MiMo-V2-Flash, arXiv:2601.02780 (MOPD).
    """
    policy = policy_gradient(
        signal=teacher_log_ratio(),
        reward=RewardPart(group_advantage(kind=config.advantage), config.alpha) if config.alpha else None,
        ratio=icepop(config.icepop_low, config.icepop_high),
    )
    return config.objective({"policy": policy})
