"""The policy gradient of K candidate tokens a row: the student is told of words it did not say."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from understudy.errors import ShapeError
from understudy.objectives.context import PlanContext
from understudy.objectives.gates import Gate, student_tokens
from understudy.objectives.needs import needs_of
from understudy.objectives.reductions import Reduction
from understudy.objectives.row_losses import NO_MASS
from understudy.objectives.schedules import Schedule, as_schedule
from understudy.objectives.signals import ROUNDING
from understudy.objectives.supports import Candidates, OnIds
from understudy.objectives.terms import Draft, Term
from understudy.plans import Likelihood, Ratio
from understudy.tokens import TokenTable

CandidateWeight = Callable[[Candidates], Tensor]
"""Gives each candidate its weight [N, K]."""


def student_share(candidates: Candidates) -> Tensor:
    """The student's probability of each candidate, renormalised on the candidates that count, [N, K]."""
    return _share(_student(candidates), candidates)


def teacher_share(candidates: Candidates) -> Tensor:
    """The target's probability of each candidate, renormalised on the candidates that count, [N, K]."""
    return _share(candidates.target, candidates)


def equal_weight(candidates: Candidates) -> Tensor:
    """1 for each candidate, [N, K]."""
    return torch.ones_like(candidates.target)


def candidate_gradient(
    *,
    support: OnIds,
    weight: CandidateWeight = student_share,
    ratio: Ratio | None = None,
    gate: Gate = student_tokens,
    coefficient: float | Schedule = 1.0,
    reduction: Reduction | None = None,
) -> Term:
    """-sum over candidates v of f(rho_v) A_v grad log pi_S(v), A_v = coefficient * weight_v * (log T_v - log S_v).

    Advantages are frozen at plan time; rho_v = pi_S(v) now / pi_S(v) then, one for each candidate.

    Args:
        support: the candidates, made with ``student=True``. ratio: f(rho); None is 1.
    """
    ratio = Ratio() if ratio is None else ratio

    def draft(table: TokenTable, context: PlanContext) -> Draft:
        candidates = support.candidates(table)
        advantage = as_schedule(coefficient)(context) * weight(candidates) * _log_ratio(candidates)
        return Draft(
            gate=gate(table, context),
            scale=torch.ones(table.num_tokens, dtype=advantage.dtype),
            row_loss=Likelihood(
                advantage, ratio=ratio, old_logprob=None if ratio.kind == "one" else _student(candidates)
            ),
            support=candidates.support,
        )

    return Term(needs_of(support, gate), draft, reduction)


def _log_ratio(candidates: Candidates) -> Tensor:
    """[N, K] nats; zero for entries that do not count and for differences of rounding."""
    ratio = candidates.target.clamp_min(NO_MASS) - _student(candidates)
    return torch.where(candidates.counted & (ratio.abs() >= ROUNDING), ratio, torch.zeros_like(ratio))


def _share(logprobs: Tensor, candidates: Candidates) -> Tensor:
    return logprobs.clamp_min(NO_MASS).masked_fill(~candidates.counted, 2 * NO_MASS).softmax(1)


def _student(candidates: Candidates) -> Tensor:
    if candidates.student is None:
        raise ShapeError("the support was made without the student's log-probs", expected="student=True")
    return candidates.student
