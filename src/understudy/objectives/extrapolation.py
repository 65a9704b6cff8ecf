"""Extrapolation: the teacher's step away from a reference, taken further than the teacher took it."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.gates import Gate
from understudy.objectives.needs import needs_of, requires
from understudy.objectives.signals import ROUNDING, logprob_of, teacher_log_ratio
from understudy.tokens import TokenTable


def extrapolated_log_ratio(scale: float, *, cautious: Gate | None = None) -> Slot:
    """A = (log pi_T - log pi_S) + (scale - 1)(log pi_T - log pi_R), [N] nats; the reference R is unread at scale 1.

    Minus the k1 estimate of KL(S||q) up to a constant of the state, q ~ T^scale R^(1 - scale).

    Args:
        cautious: rows where the scale is at most 1.

    Source: G-OPD, arXiv:2602.12125.
    """
    log_ratio = teacher_log_ratio()
    if scale == 1:
        return log_ratio
    teacher, reference = logprob_of("teacher"), logprob_of("reference")
    cautious = cautious if scale > 1 else None

    @requires(needs=needs_of(log_ratio, teacher, reference, cautious))
    def signal(table: TokenTable, context: PlanContext) -> Tensor:
        step = teacher(table, context) - reference(table, context)
        step = torch.where(step.abs() < ROUNDING, torch.zeros_like(step), step)
        if cautious is not None:
            step = torch.where(cautious(table, context), torch.zeros_like(step), step)
        return log_ratio(table, context) + (scale - 1) * step

    return signal
