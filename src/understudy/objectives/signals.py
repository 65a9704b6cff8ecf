"""Signals: what the teacher or the reference says of each token; always constants."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.needs import needs_of, requires
from understudy.tokens import TokenTable

ROUNDING = 5e-5
"""Nats: cached decoding and prefill of the same weights differ by less than this in float32 (measured: 1.0e-5)."""


def teacher_log_ratio(*, rounding: float = ROUNDING, teacher_floor: float = -100.0) -> Slot:
    """A_t = log pi_T(y_t) - log pi_S(y_t), [N] nats: minus the k1 estimate of KL(S||T).

    Args:
        rounding: smaller ratios are exactly zero. Adam divides a gradient by its own size, so rounding alone
            would otherwise move a student that already equals its teacher.
        teacher_floor: teacher log-probs below it (a server's -inf) are raised to it.

    Source: tinker_cookbook/distillation/train_on_policy.py; docs/design/004-rounding.md.
    """

    @requires("teacher_logprob", "student_logprob")
    def signal(table: TokenTable, _: PlanContext) -> Tensor:
        ratio = table["teacher_logprob"].clamp_min(teacher_floor) - table["student_logprob"]
        return torch.where(ratio.abs() < rounding, torch.zeros_like(ratio), ratio)

    return signal


def logprob_of(scorer: str, *, floor: float = -100.0) -> Slot:
    """The scorer's log-prob of the token that stands there, [N] nats; one below ``floor`` (-inf) is raised to it."""
    column = f"{scorer}_logprob"

    @requires(column)
    def signal(table: TokenTable, _: PlanContext) -> Tensor:
        return table[column].clamp_min(floor)

    return signal


def power_difference(exponent: float) -> Slot:
    """(pi_T^exponent - pi_S^exponent) / exponent of the token, [N]; within 1 / exponent of 0, 0 where both are equal.

    The log-ratio is its limit as the exponent goes to 0.

    Source: PowerOPD, arXiv:2606.17199 (there without the division).
    """
    log_ratio, student, teacher = teacher_log_ratio(), logprob_of("student"), logprob_of("teacher")

    @requires(needs=needs_of(log_ratio, student, teacher))
    def signal(table: TokenTable, context: PlanContext) -> Tensor:
        ratio = log_ratio(table, context)
        # The larger power is the factor: the smaller one may be 0 in float32, and its quotient by the other infinite.
        larger = (exponent * torch.maximum(student(table, context), teacher(table, context))).exp()
        return ratio.sign() * larger * -torch.expm1(-exponent * ratio.abs()) / exponent

    return signal


def discounted_to_go(
    signal: Float[Tensor, "n"], *, gamma: float, rollout: Int[Tensor, "n"], index: Int[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """sum_{k >= 0} gamma^k signal_{t+k} within each rollout; time counts scored tokens, observations take none.

    Source: the discount of tinker_cookbook/distillation/train_on_policy.py; that observations take no time is ours.
    """
    if gamma == 0 or signal.numel() == 0:
        return signal
    grid = torch.zeros(int(rollout.max()) + 1, int(index.max()) + 1, dtype=signal.dtype)
    grid[rollout, index] = signal
    for column in range(grid.shape[1] - 2, -1, -1):
        grid[:, column] += gamma * grid[:, column + 1]
    return grid[rollout, index]
