"""Generalised on-policy distillation: the teacher's step away from a reference, scaled by lambda."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from understudy.objectives.extrapolation import extrapolated_log_ratio
from understudy.objectives.gates import teacher_entropy_below
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import dual_clip
from understudy.objectives.staleness import sampler_ratio
from understudy.objectives.terms import policy_gradient


class ExtrapolationConfig(MethodConfig):
    """How far to go, and how the policy gradient is held.

    The recipe's ``reference`` says what the teacher's step is measured from: ``initial``, the student before step 0, or
    the teacher's own base before reinforcement learning (the paper's reward correction, one more model to score).

    Args:
        lambda: scale of the teacher's step away from the reference; 1.25 is the paper's, 1.5 was unstable there.
        sure_below: nats of the teacher's exact entropy below which a token's lambda is at most 1; null never. The
            cap is Extrapolation Cliff's, with 0.5.
        clip: of the importance ratio, 1 - clip to 1 + clip; 0.2 is the paper's.
        dual_clip: ratio above which a token with a negative advantage gives nothing; 3 is the paper's.
        sampler_ratio_cap: largest weight min(pi_S / pi_sampler, cap) of a token; 5 is the paper's.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    lambda_: float = Field(default=1.25, ge=0, alias="lambda")
    sure_below: float | None = Field(default=None, gt=0)
    clip: float = Field(default=0.2, gt=0)
    dual_clip: float = Field(default=3.0, gt=1)
    sampler_ratio_cap: float = Field(default=5.0, gt=0)

    def extrapolated(self) -> Objective:
        """The policy gradient of the scaled log-ratio."""
        cautious = None if self.sure_below is None else teacher_entropy_below(self.sure_below)
        policy = policy_gradient(
            signal=extrapolated_log_ratio(self.lambda_, cautious=cautious),
            weight=sampler_ratio(self.sampler_ratio_cap),
            ratio=dual_clip(self.clip, delta=self.dual_clip),
            old="student",
        )
        return self.objective({"policy": policy})


class GOPD(ExtrapolationConfig):
    """Generalised on-policy distillation: any lambda, from 0 (the reference) over 1 (the teacher) to beyond it."""

    method: Literal["gopd"] = "gopd"


def gopd(config: GOPD) -> Objective:
    """A = (log pi_T - log pi_S) + (lambda - 1)(log pi_T - log pi_R), held by a dual clip and a capped sampler ratio.

    The expected gradient at every visited state is that of KL(S||q), q in proportion to T^lambda R^(1 - lambda): the
    student's optimum. lambda 1 is ``opd``, and no reference is read; below 1 lies between reference and teacher, above
    1 goes beyond the teacher and is what ``exopd`` stands for.

    Source: G-OPD, arXiv:2602.12125. The cap on lambda: arXiv:2605.08737.
    """
    return config.extrapolated()
