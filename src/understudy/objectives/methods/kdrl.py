"""Knowledge distillation and reinforcement learning in one loss."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import solved, student_tokens, teacher_differs
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import ppo_clip
from understudy.objectives.rewards import group_advantage
from understudy.objectives.schedules import linear
from understudy.objectives.signals import logprob_of
from understudy.objectives.terms import policy_gradient, to_target


class KDRL(MethodConfig):
    """Knowledge distillation and reinforcement learning in one loss.

    Args:
        beta: weight of the distillation at step 0.
        beta_min: the same at the end.
        beta_anneal_steps: steps from ``beta`` to ``beta_min``; null takes the whole run, our choice.
        estimator: ``square`` (k2) follows KL(S||T); ``k3`` follows KL(T||S), and the paper finds it worse.
        mask: ``correct`` distils only on rollouts that did not solve their task.
        epsilon: lower clip of the ratio, and upper one where ``epsilon_high`` is null; 0.2 is our choice.
        epsilon_high: upper clip.
    """

    progress: ClassVar[Progress] = "reward"
    method: Literal["kdrl"] = "kdrl"
    beta: float = Field(default=5e-3, ge=0)
    beta_min: float = Field(default=1e-3, ge=0)
    beta_anneal_steps: int | None = Field(default=None, ge=1)
    estimator: Literal["square", "k3"] = "square"
    mask: Literal["none", "correct"] = "none"
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    epsilon_high: float | None = Field(default=None, gt=0)

    def tied_to_steps(self) -> tuple[str, ...]:
        """The weight falls until the last step, unless its fall has a length of its own."""
        return ("beta_anneal_steps",) if self.beta_anneal_steps is None and self.beta != self.beta_min else ()


def kdrl(config: KDRL) -> Objective:
    """GRPO + beta (log pi_S - log pi_T)^2 / 2 on the student's tokens, differentiated directly, beta falling.

    The distillation's expected gradient is that of beta KL(S||T) at each visited state; tokens on which teacher and
    student agree up to rounding have none, so a teacher that equals the student leaves GRPO alone.

    Source: KDRL, arXiv:2506.02208.
    """
    gate = student_tokens & teacher_differs()
    distillation = to_target(
        target=logprob_of("teacher"),
        kind=config.estimator,
        gate=gate if config.mask == "none" else gate & ~solved,
        coefficient=linear(config.beta, config.beta_min, over_steps=config.beta_anneal_steps),
    )
    policy = policy_gradient(signal=group_advantage(), ratio=ppo_clip(config.epsilon, config.epsilon_high))
    return config.objective({"policy": policy, "distillation": distillation})
