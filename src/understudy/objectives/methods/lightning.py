"""Offline on-policy distillation: completions of the initial student, scored once by the teacher."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.shapes import clip
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.terms import policy_gradient
from understudy.objectives.writing import Writing
from understudy.plans import Ratio


class Lightning(MethodConfig):
    """Offline on-policy distillation.

    Args:
        clip: nats beyond which the advantage does not grow, on both sides; null is none, the paper's default.
    """

    method: Literal["lightning"] = "lightning"
    clip: float | None = Field(default=None, gt=0)


def lightning(config: Lightning) -> Objective:
    """A = log pi_T - log pi_S(now) on completions that the initial student wrote once, without any importance ratio.

    The teacher marks a fixed text, so its marks can be stored and it need not be there. The expected gradient is that
    of sum_t (log pi_T - log pi_S)^2 / 2 under the initial student, with ``clip`` of Huber's function of it: that of
    KL(S||T) at the first step, and a pull of the student's log-probs towards the teacher's ever after. It is meant for
    a student that was fine-tuned on text of the same teacher.

    Source: Lightning OPD, arXiv:2604.13010.
    """
    policy = policy_gradient(
        signal=teacher_log_ratio(), shape=None if config.clip is None else clip(config.clip), ratio=Ratio("one")
    )
    return config.objective({"policy": policy}, writing=Writing(weights="initial"))
