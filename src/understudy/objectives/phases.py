"""Phases: one gate for the first part of a run, another for the rest."""

from __future__ import annotations

from torch import Tensor

from understudy.objectives.context import PlanContext
from understudy.objectives.gates import Gate
from understudy.objectives.needs import needs_of, requires
from understudy.tokens import TokenTable


def switched(before: Gate, after: Gate, *, at: float) -> Gate:
    """``before`` while less than the share ``at`` of the steps is done, ``after`` from then on.

    Needs are those of both, throughout. Step s of S has done s / S: with ``at`` 0.5, 300 steps switch at step 150.

    Args:
        at: from 0 (``after`` from the first step) to 1 (never).

    Source: REOPOLD, arXiv:2603.11137, section 3 (exploration, then refinement).
    """

    @requires(needs=needs_of(before, after))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        gate = before if context.step < at * context.total_steps else after
        return gate(table, context)

    return Gate(f"{before.name}->{after.name}", column)
