"""Reinforcement learning with self-distillation: the reward gives the sign, the teacher the size."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import ppo_clip
from understudy.objectives.rewards import group_advantage
from understudy.objectives.terms import policy_gradient
from understudy.objectives.weights import signed_teacher_ratio


class RLSD(MethodConfig):
    """Reinforcement learning with self-distillation; its teacher is the student itself with the answer in its context.

    Args:
        weight_epsilon: the teacher's weight stays within 1 - this and 1 + this; 0.2 is that of a public
            re-implementation, our choice.
        epsilon: lower clip of the ratio, and upper one where ``epsilon_high`` is null; our choice.
        epsilon_high: upper clip.
    """

    progress: ClassVar[Progress] = "reward"
    method: Literal["rlsd"] = "rlsd"
    weight_epsilon: float = Field(default=0.2, ge=0, lt=1)
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    epsilon_high: float | None = Field(default=None, gt=0)


def rlsd(config: RLSD) -> Objective:
    """A_t = A_reward clip(u^sign(A_reward), 1 - eps, 1 + eps), u = pi_T / pi_S of the token, held constant.

    The gradient is that of -E[sum_t A_t log pi_S(y_t)] with A held constant, until the clip stops a token. The sign of
    every token's advantage is the reward's: a teacher that equals the student leaves GRPO, and one that does not
    never turns a reward into a punishment.

    Source: RLSD, arXiv:2604.03128.
    """
    advantage = group_advantage()
    policy = policy_gradient(
        signal=advantage,
        weight=signed_teacher_ratio(advantage, epsilon=config.weight_epsilon),
        ratio=ppo_clip(config.epsilon, config.epsilon_high),
    )
    return config.objective({"policy": policy})
