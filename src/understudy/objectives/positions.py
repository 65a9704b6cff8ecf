"""Weights by a token's place in the response: how far it stands from the beginning, or how much was amiss before it."""

from __future__ import annotations

import torch
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.gates import student_tokens
from understudy.objectives.needs import needs_of, requires
from understudy.objectives.signals import teacher_log_ratio
from understudy.objectives.within import sum_before, total_within
from understudy.tokens import TokenTable


def late_positions(*, lowest: float, middle: float, width: float) -> Slot:
    """w = lowest + (1 - lowest) sigmoid((t/T - middle) / width), [N]: later tokens weigh more.

    t counts the student's own tokens of the rollout, the first as 1/2 and the last as T - 1/2 of their number T.

    Args:
        lowest: weight far before the middle. middle: share of the response where the weight is half-way.
        width: of the rise, as a share of the response.

    Source: PW-OPSD, arXiv:2605.21606 (the place of t within its token: its published code).
    """

    @requires()
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        own = student_tokens(table, context).double()
        before = sum_before(own, rollout=table["rollout"], index=table["index_in_rollout"])
        place = (before + 0.5) / total_within(own, table["rollout"]).clamp_min(1)
        return lowest + (1 - lowest) * torch.sigmoid((place - middle) / width)

    return weight


def remaining_disagreement(gamma: float) -> Slot:
    """w_t = 1 + gamma (1 - sum_{k<t} |A_k| / sum_k |A_k|), A = log pi_T - log pi_S, [N]: earlier tokens weigh more.

    Sums run over the student's own tokens of the rollout; where all of them agree with the teacher, w = 1 + gamma.

    Source: IW-OPD, arXiv:2606.22600, algorithm 1.
    """
    log_ratio = teacher_log_ratio()

    @requires(needs=needs_of(log_ratio))
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        size = log_ratio(table, context).abs().double()
        size = torch.where(student_tokens(table, context), size, torch.zeros_like(size))
        before = sum_before(size, rollout=table["rollout"], index=table["index_in_rollout"])
        total = total_within(size, table["rollout"])
        share = before / torch.where(total > 0, total, torch.ones_like(total))
        return 1 + gamma * (1 - share)

    return weight
