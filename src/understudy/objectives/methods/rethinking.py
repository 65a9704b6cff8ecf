"""Rethinking on-policy distillation: a policy gradient of the K words the student would most likely have said."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from understudy.objectives.candidates import candidate_gradient, equal_weight, student_share, teacher_share
from understudy.objectives.methods.config import MethodConfig
from understudy.objectives.objective import Objective
from understudy.objectives.ratios import ppo_clip
from understudy.objectives.supports import (
    OnIds,
    intersection,
    student_top_k,
    symmetric_difference,
    teacher_top_k,
    union,
)


class Rethinking(MethodConfig):
    """Top-k on-policy distillation with one advantage a candidate.

    Args:
        top_k: candidates of each side; the source reports that one alone is bad.
        support: ``only_stu`` the student's likeliest tokens, ``only_tch`` the teacher's, or both combined; the source
            calls ``symmetric_difference`` union-intersection.
        weight: of a candidate, renormalised on the candidates: the student's probability, the teacher's, or 1 each.
        clip: half-width of the PPO clip of each candidate's own ratio, verl's default.
    """

    method: Literal["rethinking"] = "rethinking"
    top_k: int = Field(default=16, ge=1)
    support: Literal["only_stu", "only_tch", "intersection", "union", "symmetric_difference"] = "only_stu"
    weight: Literal["student", "teacher", "none"] = "student"
    clip: float = Field(default=0.2, gt=0)


def rethinking(config: Rethinking) -> Objective:
    """One advantage a candidate: A_v = w_v (log T_v - log S_v) for v in topK(S), w = S renormalised on the candidates.

    All of A is constant, so at the first update of a batch the gradient is -sum_v w_v (log T_v - log S_v) grad log S_v
    at each visited state: with the weight ``student`` and k the vocabulary size that of KL(S||T). With fewer
    candidates it is close to the reverse KL with a detached logarithm, whose w_v is S_v itself. rho_v is the ratio to
    the student at plan time. Sums over candidates, means over tokens.

    Source: "Rethinking On-Policy Distillation", arXiv:2604.13016; repository thunlp/OPD.
    """
    weight = {"student": student_share, "teacher": teacher_share, "none": equal_weight}[config.weight]
    policy = candidate_gradient(support=_support(config), weight=weight, ratio=ppo_clip(config.clip))
    return config.objective({"policy": policy})


def _support(config: Rethinking) -> OnIds:
    own, other = student_top_k(config.top_k, student=True), teacher_top_k(config.top_k, student=True)
    if config.support == "only_stu":
        return own
    if config.support == "only_tch":
        return other
    combine = {"intersection": intersection, "union": union, "symmetric_difference": symmetric_difference}
    return combine[config.support](own, other)
