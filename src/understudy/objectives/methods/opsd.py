"""OPSD: the student taught by itself, which has seen the solution."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.supports import OnVocabulary, teacher_top_k
from understudy.objectives.terms import Term, divergence, policy_gradient
from understudy.plans import Divergence


class OPSD(MethodConfig):
    """On-policy self-distillation from a teacher with the ground-truth solution.

    Its teacher is the recipe's ``teacher: {model: self, weights: initial, view: solution}`` (``ema`` with ``student:
    {ema_decay: 0.999}`` is the source's option). The source samples and scores at temperature 1.1, top_p 0.95,
    top_k 20: fields of the section ``rollout``.

    Args:
        beta: 0 is forward KL(T||S), 1 is reverse KL(S||T), between them the generalised Jensen-Shannon divergence.
        mode: ``vocabulary`` compares whole distributions; ``top_k`` the teacher's likeliest tokens, both sides
            renormalised; ``sampled`` is the policy gradient of log T - log S.
        top_k: tokens of the mode ``top_k``; their number is our choice.
    """

    progress: ClassVar[Progress] = "jsd"
    method: Literal["opsd"] = "opsd"
    beta: float = Field(default=0.5, ge=0, le=1)
    mode: Literal["vocabulary", "top_k", "sampled"] = "vocabulary"
    top_k: int = Field(default=64, ge=2)


def opsd(config: OPSD) -> Objective:
    """Jensen-Shannon to the self with the solution: beta KL(T||m) + (1-beta) KL(S||m), T = the self that read it.

    The gradient is that of this divergence at each visited state, over the vocabulary or renormalised on the
    teacher's top-k; ``sampled`` follows KL(S||T) in expectation. The teacher is a constant, and no gradient flows
    through sampling.

    Source: "On-Policy Self-Distillation", arXiv:2601.18734; repository siyan-zhao/OPSD.
    """
    return config.objective({"self": _term(config)})


def _term(config: OPSD) -> Term:
    if config.mode == "sampled":
        return policy_gradient(signal=teacher_log_ratio())
    if config.mode == "top_k":
        loss = Divergence("jsd", beta=config.beta, support="renormalised")
        return divergence(loss, support=teacher_top_k(config.top_k), gate=student_tokens)
    return divergence(Divergence("jsd", beta=config.beta), support=OnVocabulary(), gate=student_tokens)
