"""Self-distillation from a privileged view in which later tokens weigh more."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from understudy.objectives.gates import student_tokens
from understudy.objectives.methods.config import MethodConfig, Progress
from understudy.objectives.objective import Objective
from understudy.objectives.positions import late_positions
from understudy.objectives.reductions import ReductionName
from understudy.objectives.supports import OnVocabulary
from understudy.objectives.terms import divergence
from understudy.plans import Divergence


class PWOPSD(MethodConfig):
    """Position-weighted on-policy self-distillation.

    Its teacher is the recipe's ``teacher: {model: self, weights: initial, view: solution}``. The source samples and
    scores at temperature 1.1, top_p 0.95, top_k 20: fields of the section ``rollout``.

    Args:
        beta: 0 is forward KL(T||S), the paper's; 1 is reverse KL(S||T), between them the Jensen-Shannon divergence.
        lowest: weight of the first tokens; 0.25 is the paper's.
        middle: share of the response where the weight is half-way to 1; 0.30 is the paper's.
        width: of the rise, as a share of the response; 0.10 is the paper's.
        reduction: the paper's mean over sequences of means over their tokens.
    """

    progress: ClassVar[Progress] = "forward_kl"
    method: Literal["pw_opsd"] = "pw_opsd"
    beta: float = Field(default=0.0, ge=0, le=1)
    lowest: float = Field(default=0.25, ge=0, le=1)
    middle: float = Field(default=0.30, ge=0, le=1)
    width: float = Field(default=0.10, gt=0)
    reduction: ReductionName = "sequence_mean_token_mean"


def pw_opsd(config: PWOPSD) -> Objective:
    """L = w_t D(T, S) over the vocabulary, w_t = lowest + (1 - lowest) sigmoid((t/T - middle) / width): late is heavy.

    A teacher that knows the solution is too sure of itself where a response begins. The expected gradient is that of
    the divergence at each visited state times its rollouts' weights there; no gradient flows through sampling.

    Source: PW-OPSD, arXiv:2605.21606, and its published code (whose clip of single entries is left out).
    """
    weighted = divergence(
        Divergence("jsd", beta=config.beta),
        support=OnVocabulary("teacher"),
        gate=student_tokens,
        weight=late_positions(lowest=config.lowest, middle=config.middle, width=config.width),
    )
    return config.objective({"divergence": weighted})
