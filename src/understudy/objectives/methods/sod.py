"""Step-weighted on-policy distillation beside a reward."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import ppo_clip
from understudy.objectives.rewards import group_advantage
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import RewardPart, policy_gradient
from understudy.objectives.turns import step_ratio


class SOD(MethodConfig):
    """Step-wise on-policy distillation: a step that has drifted from the teacher teaches less.

    Args:
        coefficient: weight of the distillation beside the reward's advantage.
        weight_epsilon: added to every step's drift.
        weight_excess: no step weighs more than 1 + this (delta); the paper's script has 0.2, its code 0.5 by default.
        epsilon: lower clip of the ratio.
        epsilon_high: upper clip; null takes ``epsilon``.
    """

    progress: ClassVar[Progress] = "reward"
    method: Literal["sod"] = "sod"
    coefficient: float = Field(default=1.0, gt=0)
    weight_epsilon: float = Field(default=1e-6, gt=0)
    weight_excess: float = Field(default=0.2, ge=0)
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    epsilon_high: float | None = Field(default=0.28, gt=0)


def sod(config: SOD) -> Objective:
    """A_t = A_reward + coefficient w_k (log pi_T - log pi_S), w_k = min((d_1 + e) / (d_k + e), 1 + delta) for step k.

    d_k is step k's mean |log ratio|; the quotient is the product over u < k of (d_u + e) / (d_{u+1} + e), so w_1 = 1.
    The gradient is that of -E[sum_t A_t log pi_S(y_t)] with A held constant, until the clip stops a token; a teacher
    that equals the student leaves the reward alone.

    Source: SOD, arXiv:2605.07725.
    """
    policy = policy_gradient(
        signal=teacher_log_ratio(),
        weight=step_ratio(epsilon=config.weight_epsilon, excess=config.weight_excess),
        coefficient=config.coefficient,
        reward=RewardPart(group_advantage()),
        ratio=ppo_clip(config.epsilon, config.epsilon_high),
    )
    return config.objective({"policy": policy})
