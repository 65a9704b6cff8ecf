"""Signals against a target other than the teacher itself: a mixture of teacher and student, or their product."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import requires
from understudy.objectives.schedules import Schedule, as_schedule
from understudy.objectives.signals import ROUNDING, teacher_log_ratio
from understudy.tokens import TokenTable


def mixture_log_ratio(beta: float, *, rounding: float = ROUNDING) -> Slot:
    """log m_x - log S_x of the token, [N] nats, m = beta T + (1 - beta) S with 0 < beta < 1.

    Bounded below by log(1 - beta), whatever the teacher says.

    Args:
        rounding: zero where teacher and student differ by less.

    Source: the second half of a Jensen-Shannon divergence, identity 10 of docs/methods/identities.md.
    """
    log_ratio = teacher_log_ratio(rounding=rounding)

    @requires("teacher_logprob", "student_logprob")
    def signal(table: TokenTable, context: PlanContext) -> Tensor:
        ratio = log_ratio(table, context)
        mixed = torch.logaddexp(ratio + math.log(beta), torch.full_like(ratio, math.log1p(-beta)))
        return torch.where(ratio == 0, ratio, mixed)

    return signal


def product_log_ratio(power: float | Schedule) -> Slot:
    """log T - (1 - power) log S of the token, [N] nats: log q - log S up to a constant of the state, q ~ T * S^power.

    Source: Veto, arXiv:2601.07155; the constant is a baseline, identity 13 of docs/methods/identities.md.
    """
    log_ratio = teacher_log_ratio()

    @requires("teacher_logprob", "student_logprob")
    def signal(table: TokenTable, context: PlanContext) -> Tensor:
        return log_ratio(table, context) + as_schedule(power)(context) * table["student_logprob"]

    return signal
