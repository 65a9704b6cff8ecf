"""Weights of tokens and of whole rollouts from what teacher, student and reward say; always constants."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.gates import Gate
from understudy.objectives.needs import needs_of, requires
from understudy.objectives.rewards import group_size
from understudy.objectives.signals import logprob_of, teacher_log_ratio
from understudy.tokens import TokenTable


def teacher_sigmoid(sharpness: float) -> Slot:
    """sigmoid(sharpness * (log pi_T - log pi_S)), [N]: near 1 where the teacher prefers the token, near 0 where not.

    Source: SDAR, arXiv:2605.15155.
    """
    log_ratio = teacher_log_ratio()

    @requires(needs=needs_of(log_ratio))
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        return torch.sigmoid(sharpness * log_ratio(table, context))

    return weight


def signed_teacher_ratio(advantage: Slot, *, epsilon: float) -> Slot:
    """clip(u^sign(A), 1 - epsilon, 1 + epsilon), u = pi_T / pi_S, [N]: A's sign decides which way the teacher pulls.

    A rewarded token weighs more where the teacher prefers it, a punished one where the teacher does not.

    Source: RLSD, arXiv:2604.03128.
    """
    log_ratio = teacher_log_ratio()

    @requires(needs=needs_of(advantage, log_ratio))
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        direction = advantage(table, context).sign()
        return (direction * log_ratio(table, context)).exp().clamp(1 - epsilon, 1 + epsilon)

    return weight


def perplexity_in_group(scorer: Literal["student", "teacher"], *, power: float, among: Gate) -> Slot:
    """A rollout's share of perplexity^power among the group's rollouts of a kind, times the group's size, [N].

    Perplexity is that of the rollout's tokens under the scorer. The shares of a group sum to 1, so that the mean of
    ``weight * loss`` over rollouts is the sum of ``share * loss`` over a group, averaged over groups; empty rollouts
    count in the group's size and have no share. 0 outside ``among``, which takes or leaves whole rollouts.

    Source: SCOPE, arXiv:2604.10688 (weights of the two paths).
    """
    logprob = logprob_of(scorer)

    @requires(needs=needs_of(logprob, among))
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        rollout, kept = table["rollout"], among(table, context)
        count = torch.bincount(rollout[kept], minlength=table.num_rollouts)
        column = logprob(table, context)
        total = torch.zeros(table.num_rollouts, dtype=column.dtype).index_add_(0, rollout[kept], -column[kept])
        score = (power * total / count.clamp_min(1)).masked_fill(count == 0, -torch.inf)
        shares = _softmax_in_group(score, table.rollouts["group"])
        return (shares * group_size(table.rollouts["group"]))[rollout]

    return weight


def _softmax_in_group(score: Float[Tensor, "r"], group: Tensor) -> Float[Tensor, "r"]:
    """exp(score) over its sum within the group; 0 where the score is -inf, in a group of nothing else too."""
    names, member = group.unique(return_inverse=True)
    top = torch.full((names.numel(),), -torch.inf, dtype=score.dtype).scatter_reduce(0, member, score, "amax")
    raised = torch.where(score == -torch.inf, torch.zeros_like(score), (score - top[member]).exp())
    total = torch.zeros(names.numel(), dtype=score.dtype).index_add_(0, member, raised)
    return raised / torch.where(total == 0, torch.ones_like(total), total)[member]
