"""Group-relative policy optimisation: rewards of a group of attempts in the place of a critic."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives import ratios
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import ReductionName
from understudy.objectives.rewards import AdvantageName, group_advantage
from understudy.objectives.signals import logprob_of
from understudy.objectives.terms import policy_gradient, to_target
from understudy.plans import Ratio

RatioName = Literal["none", "importance", "ppo", "dual_clip", "cispo", "icepop"]


class GRPO(MethodConfig):
    """Group-relative policy optimisation, with its common variants.

    Args:
        advantage: ``std`` divides by the group's standard deviation, ``centred`` does not (Dr. GRPO), ``leave_one_out``
            subtracts the mean of the other rewards.
        ratio: ``ppo`` clips, ``dual_clip`` also bounds punished tokens, ``cispo`` caps without dropping, ``icepop``
            drops tokens on which trainer and sampler differ, ``importance`` does neither, ``none`` has no ratio.
        epsilon: lower clip, and upper one where ``epsilon_high`` is null.
        epsilon_high: upper clip; DAPO's clip-higher is 0.28.
        delta: bound of the ratio of punished tokens under ``dual_clip``.
        icepop_low, icepop_high: bounds of the ratio that ``icepop`` keeps.
        beta: weight of the k3 estimate of KL(S||reference); 0 needs no reference. The paper has 0.04, 0 is our choice.
        reduction: the paper's; DAPO has ``token_mean``, Dr. GRPO ``sequence_mean_token_sum`` over a constant.
    """

    progress: ClassVar[Progress] = "reward"
    method: Literal["grpo"] = "grpo"
    advantage: AdvantageName = "std"
    ratio: RatioName = "ppo"
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    epsilon_high: float | None = Field(default=None, gt=0)
    delta: float = Field(default=3.0, gt=1)
    icepop_low: float = Field(default=0.5, ge=0, le=1)
    icepop_high: float = Field(default=5.0, ge=1)
    beta: float = Field(default=0.0, ge=0)
    reduction: ReductionName = "sequence_mean_token_mean"

    def chosen_ratio(self) -> Ratio:
        """The ratio that ``ratio`` names, with its bounds."""
        if self.ratio == "ppo":
            return ratios.ppo_clip(self.epsilon, self.epsilon_high)
        if self.ratio == "dual_clip":
            return ratios.dual_clip(self.epsilon, self.epsilon_high, delta=self.delta)
        if self.ratio == "cispo":
            return ratios.cispo(self.epsilon if self.epsilon_high is None else self.epsilon_high)
        if self.ratio == "icepop":
            return ratios.icepop(self.icepop_low, self.icepop_high)
        return Ratio("one" if self.ratio == "none" else "importance")


def grpo(config: GRPO) -> Objective:
    """Reward against the group's mean, A_i = (r_i - mean) / std, loss -min(rho A, clip(rho) A) + beta k3(S, reference).

    Strictly on policy, with groups of n, ``token_sum`` and no beta, the expected gradient of a group is that of
    -n E[r] with ``leave_one_out``, of -(n - 1) E[r] with ``centred``; ``std`` weighs groups by how much their rewards
    differ, for n = 2 it follows the probability to beat a frozen copy of the student. The k3 term has the gradient of
    beta KL(reference||S) at each visited state. A group of equal rewards gives exactly zero.

    Source: Shao et al., arXiv:2402.03300, eq. 3 and 4; centred: Liu et al., arXiv:2503.20783.
    """
    terms = {
        "policy": policy_gradient(signal=group_advantage(kind=config.advantage), ratio=config.chosen_ratio()),
    }
    if config.beta > 0:
        terms["reference"] = to_target(target=logprob_of("reference"), kind="k3", coefficient=config.beta)
    return config.objective(terms)
