"""Trust: whether the teacher's word on a token that the student chose is to be believed."""

from __future__ import annotations

from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.gates import Gate
from understudy.objectives.needs import needs_of, requires
from understudy.objectives.signals import logprob_of, teacher_log_ratio
from understudy.tokens import TokenTable


def trust_region() -> Gate:
    """Trusted with probability min(pi_T / pi_S, 1) by one keyed draw a token; equal up to rounding is always trusted.

    Source: TrOPD, arXiv:2606.01249, eq. 5; expectation: 1 - TV(S, T) (identity 9 of docs/methods/identities.md).
    """
    log_ratio = teacher_log_ratio()

    @requires(needs=needs_of(log_ratio))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        return context.uniform("trust_region", table) < log_ratio(table, context).double().clamp_max(0).exp()

    return Gate("trusted", column)


def trust_probability() -> Slot:
    """min(pi_T / pi_S, 1), [N]: how likely ``trust_region`` is to trust the token; exactly 1 where both are equal.

    As a weight it has the same expected gradient as the draw, with less variance: identity 9 of
    docs/methods/identities.md.
    """
    log_ratio = teacher_log_ratio()

    @requires(needs=needs_of(log_ratio))
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        return log_ratio(table, context).clamp_max(0).exp()

    return weight


def distrust_probability() -> Slot:
    """1 - ``trust_probability``, [N]."""
    trusted = trust_probability()
    return requires(needs=needs_of(trusted))(lambda table, context: 1 - trusted(table, context))


def log_ratio_at_least(lowest: float) -> Gate:
    """Trusted where log pi_T - log pi_S >= ``lowest`` nats. Source: REOPOLD, arXiv:2603.11137, eq. 9 (phase I)."""
    log_ratio = teacher_log_ratio()
    column = requires(needs=needs_of(log_ratio))(lambda table, context: log_ratio(table, context) >= lowest)
    return Gate("trusted", column)


def probability_gap_above(gap: float) -> Gate:
    """Rows where pi_T(y) - pi_S(y) > ``gap``, both as probabilities. Source: AOPD, arXiv:2605.06387, eq. 7."""
    teacher, student = logprob_of("teacher"), logprob_of("student")

    @requires(needs=needs_of(teacher, student))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        return teacher(table, context).exp() - student(table, context).exp() > gap

    return Gate("teacher_prefers", column)
