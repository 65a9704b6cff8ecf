"""Self-distilled agentic reinforcement: a reward, and a likelihood that a teacher with more context gates."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import ppo_clip
from understudy.objectives.rewards import group_advantage
from understudy.objectives.signals import logprob_of
from understudy.objectives.terms import likelihood, policy_gradient, to_target
from understudy.objectives.weights import teacher_sigmoid


class SDAR(MethodConfig):
    """Self-distilled agentic reinforcement; its teacher is the student itself with skills in its context.

    Args:
        coefficient: weight of the gated likelihood; the paper's script has 0.01, its code 0.1 by default.
        sharpness: beta of the gate, sigmoid(beta (log pi_T - log pi_S)).
        epsilon: lower clip of the ratio, and upper one where ``epsilon_high`` is null; 0.2 is our choice.
        epsilon_high: upper clip.
        beta: weight of the k3 estimate of KL(S||reference); 0 needs no reference.
    """

    progress: ClassVar[Progress] = "reward"
    method: Literal["sdar"] = "sdar"
    coefficient: float = Field(default=0.01, gt=0)
    sharpness: float = Field(default=5.0, gt=0)
    epsilon: float = Field(default=0.2, gt=0, lt=1)
    epsilon_high: float | None = Field(default=None, gt=0)
    beta: float = Field(default=0.01, ge=0)


def sdar(config: SDAR) -> Objective:
    """GRPO + coefficient * (-g log pi_S), g = sigmoid(sharpness (log pi_T - log pi_S)) held constant, + beta k3.

    The teacher enters through the gate alone. At each visited state the gated term's expected gradient is that of
    -coefficient E_S[g]: mass moves to tokens that the teacher prefers; a teacher that equals the student gives g = 1/2
    everywhere and so zero in expectation. The k3 term follows beta KL(reference||S).

    Source: SDAR, arXiv:2605.15155.
    """
    terms = {
        "policy": policy_gradient(signal=group_advantage(), ratio=ppo_clip(config.epsilon, config.epsilon_high)),
        "gated": likelihood(
            gate=student_tokens, weight=teacher_sigmoid(config.sharpness), coefficient=config.coefficient
        ),
    }
    if config.beta > 0:
        terms["reference"] = to_target(target=logprob_of("reference"), kind="k3", coefficient=config.beta)
    return config.objective(terms)
