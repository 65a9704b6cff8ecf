"""Relaxed on-policy distillation: the teacher's harshest verdicts are softened, then only unsure tokens count."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.gates import Gate, student_tokens, top_entropy
from understudy.objectives.methods.config import GatedConfig
from understudy.objectives.objective import Objective
from understudy.objectives.phases import switched
from understudy.objectives.reductions import Denominator
from understudy.objectives.shapes import floor
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.objectives.trust import log_ratio_at_least


class REOPOLD(GatedConfig):
    """Relaxed on-policy distillation.

    Args:
        floor: nats below which no log-ratio falls, log(l) / (1 - l) for a mixture of share l; -2.56, that of l = 0.1,
            is our choice, since 0.1, 0.2 and 0.3 have all been reported.
        stages: ``clip_only`` keeps every token, our default, which TrOPD's authors found to be better;
            ``two_stage`` is the paper's: first only tokens above the floor, then only the least sure ones.
        switch: share of the steps after which the second stage begins; half is the paper's.
        share: of tokens of highest student entropy that the second stage keeps; 20 % is the paper's.
        denominator: of the mean, the ``gated`` tokens, those that are kept, as in the paper, or ``all`` of a response.
    """

    method: Literal["reopold"] = "reopold"
    floor: float = Field(default=-2.56, lt=0)
    stages: Literal["clip_only", "two_stage"] = "clip_only"
    switch: float = Field(default=0.5, ge=0, le=1)
    share: float = Field(default=0.2, gt=0, le=1)
    denominator: Denominator = "gated"

    def tied_to_steps(self) -> tuple[str, ...]:
        """The second stage begins at a share of the steps, unless that is none or all of them."""
        return ("switch",) if self.stages == "two_stage" and 0 < self.switch < 1 else ()


def reopold(config: REOPOLD) -> Objective:
    """J = sum(rho max(R, floor) M) / sum(M), R = log pi_T - log pi_S, to be maximised.

    M is 1 for every token, or in two stages 1[R >= floor] and then 1[H(pi_S) in the top share of the batch]. The
    expected gradient at every state is the policy gradient of the reward max(R, floor) over the tokens in M: above
    the floor that of KL(S||T), below it a constant push, so that one word the teacher abhors cannot outweigh the rest.

    Source: REOPOLD, arXiv:2603.11137, eq. 4, 7, 9, 10.
    """
    policy = policy_gradient(signal=teacher_log_ratio(), shape=floor(config.floor), gate=student_tokens & _kept(config))
    return config.objective({"policy": policy})


def _kept(config: REOPOLD) -> Gate:
    if config.stages == "clip_only":
        return student_tokens
    return switched(log_ratio_at_least(config.floor), top_entropy(config.share), at=config.switch)
