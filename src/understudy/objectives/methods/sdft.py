"""SDFT: the student taught by itself, which has seen a demonstration."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import after_first, student_tokens
from understudy.objectives.methods.config import GatedConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.supports import teacher_top_k
from understudy.objectives.terms import divergence, policy_gradient
from understudy.plans import Divergence


class SDFT(GatedConfig):
    """Self-distillation fine-tuning.

    Its teacher is the recipe's ``teacher: {model: self, weights: live, view: demonstration}``: the student of the same
    step with a golden completion in its context.

    Args:
        top_k: the teacher's likeliest tokens, renormalised.
        skip_first: so many tokens at the start of each rollout are left out: there the teacher still copies the form
            of its context.
        mode: ``top_k`` compares distributions; ``sampled`` is the policy gradient of log T - log S.
    """

    progress: ClassVar[Progress] = "forward_kl"
    method: Literal["sdft"] = "sdft"
    top_k: int = Field(default=20, ge=1)
    skip_first: int = Field(default=3, ge=0)
    mode: Literal["top_k", "sampled"] = "top_k"


def sdft(config: SDFT) -> Objective:
    """Cross-entropy with the self that saw a demonstration: -sum_{v in topK(T)} T^_v log S_v, T^ = T renormalised.

    The gradient is that of this cross-entropy at each visited state after the first ones, that is sum T^ = 1 times
    S - T^ in logits; the value is KL(T^||S), less by T^'s entropy. ``sampled`` follows KL(S||T) in expectation. The
    teacher is a constant, and no gradient flows through sampling.

    Source: SDFT, arXiv:2601.19897; tinker-cookbook, self-distillation recipe (k 20, first 3 tokens).
    """
    gate = student_tokens & after_first(config.skip_first)
    if config.mode == "sampled":
        return config.objective({"self": policy_gradient(signal=teacher_log_ratio(), gate=gate)})
    loss = Divergence("forward", support="target_renormalised")
    return config.objective({"self": divergence(loss, support=teacher_top_k(config.top_k), gate=gate)})
