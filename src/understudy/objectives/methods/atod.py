"""Agentic turn-weighted on-policy distillation: distillation that hands over to the reward."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.context import Slot
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import ppo_clip
from understudy.objectives.reductions import ReductionName
from understudy.objectives.rewards import group_advantage
from understudy.objectives.schedules import linear
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import RewardPart, policy_gradient
from understudy.objectives.turns import token_soft_or, turn_soft_or


class ATOD(MethodConfig):
    """Agentic turn-weighted on-policy distillation.

    Args:
        kappa_init: weight of the distillation at step 0; our choice, the paper's table was not at hand.
        kappa_min: the same at the end. Above 0: a weak anchor against drift; our choice.
        rho_init: weight of the reward at step 0; our choice.
        rho_max: the same at the end; our choice.
        coef_anneal_steps: steps from the first weights to the last; null takes the whole run, our choice.
        weight: ``turn`` weighs each turn by disagreement or uncertainty, ``token`` each token, ``none`` all alike.
        weight_floor: no turn weighs less; with 0 the turn that is lowest in both weighs nothing, as in the paper.
        epsilon: lower clip of the ratio, and upper one where ``epsilon_high`` is null; our choice.
        epsilon_high: upper clip.
        reduction: the paper's mean over episodes of the mean over tokens.
    """

    progress: ClassVar[Progress] = "reward"
    method: Literal["atod"] = "atod"
    kappa_init: float = Field(default=1.0, ge=0)
    kappa_min: float = Field(default=0.1, gt=0)
    rho_init: float = Field(default=0.1, ge=0)
    rho_max: float = Field(default=1.0, ge=0)
    coef_anneal_steps: int | None = Field(default=None, ge=1)
    weight: Literal["turn", "token", "none"] = "turn"
    weight_floor: float = Field(default=0.0, ge=0, le=1)
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    epsilon_high: float | None = Field(default=None, gt=0)
    reduction: ReductionName = "sequence_mean_token_mean"

    def tied_to_steps(self) -> tuple[str, ...]:
        """The weights move until the last step, unless they stay or their way has a length of its own."""
        moves = self.kappa_init != self.kappa_min or self.rho_init != self.rho_max
        return ("coef_anneal_steps",) if moves and self.coef_anneal_steps is None else ()

    def turn_weight(self) -> Slot | None:
        """The weight that ``weight`` names."""
        if self.weight == "none":
            return None
        return (turn_soft_or if self.weight == "turn" else token_soft_or)(lowest=self.weight_floor)


def atod(config: ATOD) -> Objective:
    """A_t = kappa w_k (log pi_T - log pi_S) + rho A_reward, kappa falling and rho rising, w_k a soft OR a turn.

    w_k = 1 - (1 - d_k)(1 - h_k): d_k the turn's mean |log ratio|, h_k its mean surprisal, both scaled to [0, 1] within
    the episode; kappa and rho run linearly over ``coef_anneal_steps``. The gradient is that of
    -E[sum_t A_t log pi_S(y_t)] with A held constant, until the clip stops a token; a group of equal rewards adds
    exactly zero, and so does a teacher that equals the student.

    Source: ATOD, arXiv:2606.27814 (T-DUR and the annealed coefficients).
    """
    steps = config.coef_anneal_steps
    policy = policy_gradient(
        signal=teacher_log_ratio(),
        weight=config.turn_weight(),
        coefficient=linear(config.kappa_init, config.kappa_min, over_steps=steps),
        reward=RewardPart(group_advantage(), linear(config.rho_init, config.rho_max, over_steps=steps)),
        ratio=ppo_clip(config.epsilon, config.epsilon_high),
    )
    return config.objective({"policy": policy})
