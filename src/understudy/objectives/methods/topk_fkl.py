"""Top-k forward KL: the teacher's likeliest words, on the student's own text."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.supports import teacher_top_k
from understudy.objectives.terms import divergence
from understudy.plans import Divergence


class TopKFKL(MethodConfig):
    """Forward KL on the teacher's top-k, directly differentiated.

    Args:
        top_k: the teacher's likeliest tokens; 64 in TrOPD's baseline, 32 in verl.
        normalisation: ``raw`` uses full-vocabulary probabilities as they are (the sources' form);
            ``target_renormalised`` makes the teacher's sum to 1, ``renormalised`` both, ``tail`` adds one bucket for
            all other tokens.
    """

    progress: ClassVar[Progress] = "forward_kl"
    method: Literal["topk_fkl"] = "topk_fkl"
    top_k: int = Field(default=64, ge=1)
    normalisation: Literal["raw", "target_renormalised", "renormalised", "tail"] = "raw"


def topk_fkl(config: TopKFKL) -> Objective:
    """Forward KL on the teacher's top-k at the student's own states: L_t = sum_{v in topK(T)} T_v (log T_v - log S_v).

    The gradient is that of this sum at each visited state; with k the vocabulary size that of KL(T||S). With ``raw``
    it is m_T S - T on the top-k in logits, m_T the teacher's mass there, so that the optimum is T / m_T on the top-k.
    No gradient flows through sampling. TrOPD's authors saw this loss collapse when it stands alone.

    Source: the forward-KL baseline of TrOPD, arXiv:2606.01249; verl's ``forward_kl_topk``; Agarwal et al.,
    arXiv:2306.13649.
    """
    loss = Divergence("forward", support=config.normalisation)
    term = divergence(loss, support=teacher_top_k(config.top_k), gate=student_tokens)
    return config.objective({"forward_kl": term})
