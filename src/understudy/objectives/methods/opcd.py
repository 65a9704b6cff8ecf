"""OPCD: what a context taught, distilled into the weights on the student's own text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.reductions import ReductionName
from understudy.objectives.supports import student_top_k, teacher_top_k, union
from understudy.objectives.terms import divergence
from understudy.plans import Divergence


class OPCD(MethodConfig):
    """On-policy context distillation.

    Its teacher reads a context that the student does not see: the recipe's ``teacher: {model: self, weights: initial,
    view: {kind: system, text: ...}}``, or ``view: demonstration``, or another model with such a view. The source
    samples at temperature 0.6.

    Args:
        top_k: the student's likeliest tokens.
        with_teacher_top_k: add the teacher's likeliest tokens to them (the source's option).
        normalisation: ``raw`` (the source's default) uses full-vocabulary probabilities as they are, fully
            differentiated; ``renormalised`` (its option) makes both sides sum to 1; ``tail`` and ``detached_log`` are
            our own: the other two cures of the bias of ``raw``.
        reduction: how tokens add up; the source divides by each rollout's length.
    """

    method: Literal["opcd"] = "opcd"
    top_k: int = Field(default=256, ge=2)
    with_teacher_top_k: bool = False
    normalisation: Literal["raw", "renormalised", "tail", "detached_log"] = "raw"
    reduction: ReductionName = "sequence_mean_token_mean"


def opcd(config: OPCD) -> Objective:
    """Reverse KL to the self with a context: sum_{topK(S)} S_v (log S_v - log T_v), T = the self that read the context.

    The gradient is that of this sum at each visited state; with k the vocabulary size it is that of KL(S||T). With
    ``raw`` and fewer tokens it has the term S_v (1[v in K] - S(K)) too much, which pushes mass out of the top-k
    whatever the teacher says (identity 6 of docs/methods/identities.md). No gradient flows through sampling.

    Source: OPCD, arXiv:2602.12275; microsoft/LMOps, opcd.
    """
    support = student_top_k(config.top_k)
    if config.with_teacher_top_k:
        support = union(support, teacher_top_k(config.top_k))
    loss = Divergence("reverse", support=config.normalisation)
    return config.objective({"context": divergence(loss, support=support, gate=student_tokens)})
