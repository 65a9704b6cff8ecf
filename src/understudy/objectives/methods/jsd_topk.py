"""Jensen-Shannon distillation from a teacher's top-k and the sampled token, as printed and exact."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.supports import teacher_top_k
from understudy.objectives.targets import mixture_log_ratio
from understudy.objectives.terms import divergence, policy_gradient
from understudy.plans import Divergence


class JSDTopK(MethodConfig):
    """The Jensen-Shannon baseline of TrOPD.

    Args:
        beta: the teacher's share of the mixture m = beta T + (1 - beta) S; at its ends the loss is nothing as printed:
            use ``topk_fkl`` for 0 and ``opd`` for 1.
        top_k: the teacher's likeliest tokens in the forward half.
        form: ``as_printed`` is the paper's; ``exact`` has the expected gradient of the divergence itself and asks the
            teacher for the sampled token alone.
    """

    progress: ClassVar[Progress] = "jsd"
    method: Literal["jsd_topk"] = "jsd_topk"
    beta: float = Field(default=0.5, gt=0, lt=1)
    top_k: int = Field(default=64, ge=1)
    form: Literal["as_printed", "exact"] = "as_printed"


def jsd_topk(config: JSDTopK) -> Objective:
    """Jensen-Shannon from top-k: beta sum_{topK(T)} T log(T / m) + (1-beta) log(S_y / m_y), m = beta T + (1-beta) S.

    ``as_printed``: the first sum is differentiated, m included; the second half is a policy gradient with the
    advantage log m_y - log S_y, so that in expectation it is (1-beta) E_S[(log S - log m) grad log S]. The sum of both
    is not the gradient of the divergence, not even with k the vocabulary size: it has -beta (1-beta) sum_K T S / m
    grad log S too much. ``exact`` is the policy gradient alone, and that is the gradient of
    beta KL(T||m) + (1-beta) KL(S||m) at each visited state (identity 10 of docs/methods/identities.md).

    Source: TrOPD, arXiv:2606.01249, eq. 3 and 4.
    """
    sampled = policy_gradient(signal=mixture_log_ratio(config.beta), coefficient=1 - config.beta)
    if config.form == "exact":
        return config.objective({"sampled": sampled})
    # KL(T || beta T + (1 - beta) S) on the top-k.
    forward = divergence(
        Divergence("skew_forward", alpha=config.beta),
        support=teacher_top_k(config.top_k),
        gate=student_tokens,
        coefficient=config.beta,
    )
    return config.objective({"forward": forward, "sampled": sampled})
