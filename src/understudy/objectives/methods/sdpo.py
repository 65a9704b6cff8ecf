"""SDPO: the student taught by itself, which has seen feedback or a successful attempt."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.staleness import sampler_ratio
from understudy.objectives.supports import student_top_k
from understudy.objectives.terms import Term, divergence, policy_gradient
from understudy.plans import Divergence, Ratio


class SDPO(MethodConfig):
    """Self-distillation policy optimisation.

    Its teacher is the recipe's ``teacher: {model: self, weights: ema, view: [peers, feedback]}``, one of the two or
    both; the source's average moves by 0.05 an update, which is ``student: {ema_decay: 0.95}``. Which rollouts have
    nothing to be shown, and so no rows here, is the view's business.

    Args:
        beta: the source's alpha: 0 is forward KL(T||S), 1 is reverse KL(S||T), between them Jensen-Shannon.
        top_k: the student's likeliest tokens; all others share one bucket.
        ratio_cap: the importance ratio of student to sampler weighs each token, at most this much.
        mode: ``top_k`` compares distributions; ``sampled`` (the source's non-logit mode) is the policy gradient of
            log T - log S.
    """

    progress: ClassVar[Progress] = "jsd"
    method: Literal["sdpo"] = "sdpo"
    beta: float = Field(default=0.5, ge=0, le=1)
    top_k: int = Field(default=100, ge=1)
    ratio_cap: float = Field(default=2.0, gt=0)
    mode: Literal["top_k", "sampled"] = "top_k"


def sdpo(config: SDPO) -> Objective:
    """Jensen-Shannon to the self with feedback: min(pi_S / pi_sampler, 2) * JSD_beta on topK(S) and one tail bucket.

    The gradient is that of this divergence at each visited state, times the ratio, which is a constant of plan time;
    with k the vocabulary size it is that of the divergence itself. ``sampled`` is -min(rho, 2) (log T - log S)
    grad log S on the sampled token. No gradient flows through sampling.

    Source: SDPO, arXiv:2601.20802; repository lasgroup/SDPO, ``compute_self_distillation_loss``.
    """
    return config.objective({"self": _term(config)})


def _term(config: SDPO) -> Term:
    if config.mode == "sampled":
        return policy_gradient(signal=teacher_log_ratio(), ratio=Ratio("capped", high=config.ratio_cap))
    return divergence(
        Divergence("jsd", beta=config.beta, support="tail"),
        support=student_top_k(config.top_k),
        gate=student_tokens,
        weight=sampler_ratio(config.ratio_cap),
    )
