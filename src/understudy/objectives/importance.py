"""Which tokens are worth learning from: those where the student is unsure, or at odds with the teacher."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.gates import Gate, student_tokens
from understudy.objectives.needs import needs_of, requires
from understudy.tokens import TokenTable
from understudy.world import World


def most_informative(
    share: float, *, divergence: Slot, clip_quantile: float = 0.98, among: Gate = student_tokens
) -> Gate:
    """The ``share`` of the batch's rows (over all ranks) with the highest s = h + d - h d.

    h is the student's entropy, d the divergence, each scaled to [0, 1] over the batch's rows in ``among``.

    Args:
        divergence: [N], e.g. the exact KL(S||T). clip_quantile: entropies above this quantile count as it.

    Source: TIP, arXiv:2604.14084.
    """

    @requires("student_entropy", needs=needs_of(divergence, among))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        kept = among(table, context)
        entropy = table["student_entropy"]
        entropy = entropy.clamp_max(float(context.world.quantile(entropy[kept], clip_quantile)))
        h = min_max_over_batch(entropy, among=kept, world=context.world)
        d = min_max_over_batch(divergence(table, context).to(h.dtype), among=kept, world=context.world)
        score = h + d - h * d
        return kept & (score >= context.world.quantile(score[kept], 1 - share))

    return Gate("most_informative", column)


def min_max_over_batch(values: Tensor, *, among: Tensor, world: World) -> Tensor:
    """[N] values scaled so that the rows ``among`` ([N] bool) of all ranks span [0, 1]; 0 where they are all equal."""
    mine = values[among]
    infinite = torch.full((1,), torch.inf, dtype=values.dtype)
    low = world.min(torch.cat([mine, infinite]).min())
    high = world.max(torch.cat([mine, -infinite]).max())
    span = high - low
    return (values - low) / span if span > 0 else torch.zeros_like(values)
