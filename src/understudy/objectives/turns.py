"""Turn weights: one weight a turn, given to every token of it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.objectives.context import PlanContext
from understudy.objectives.gates import student_tokens
from understudy.objectives.hybrid import TurnWeight
from understudy.objectives.needs import needs_of, requires
from understudy.objectives.signals import logprob_of
from understudy.tokens import TokenTable


def turn_mean(column: Float[Tensor, "n"], turn: Int[Tensor, "n"], *, num_turns: int) -> Float[Tensor, "u"]:
    """Mean of a token column over each turn; 0 for a turn without scored tokens."""
    total = torch.zeros(num_turns, dtype=column.dtype).index_add_(0, turn, column)
    return total / torch.bincount(turn, minlength=num_turns).clamp_min(1)


def min_max_within(values: Float[Tensor, "u"], rollout: Int[Tensor, "u"], *, flat: float = 1e-8) -> Float[Tensor, "u"]:
    """Values scaled to [0, 1] within each rollout; 0.5 where their range is below ``flat``."""
    if values.numel() == 0:
        return values
    size = int(rollout.max()) + 1
    low = torch.full((size,), torch.inf, dtype=values.dtype).scatter_reduce(0, rollout, values, "amin")[rollout]
    high = torch.full((size,), -torch.inf, dtype=values.dtype).scatter_reduce(0, rollout, values, "amax")[rollout]
    span = high - low
    return torch.where(span < flat, torch.full_like(values, 0.5), (values - low) / span.clamp_min(flat))


def soft_or(first: Float[Tensor, "u"], second: Float[Tensor, "u"]) -> Float[Tensor, "u"]:
    """1 - (1 - first)(1 - second), for values in [0, 1]: high where either is."""
    return 1 - (1 - first) * (1 - second)


def turn_soft_or(*, lowest: float = 0.0) -> TurnWeight:
    """w = 1 - (1 - d)(1 - h) a turn, [N]: d = mean |log ratio|, h = mean surprisal, each scaled within the rollout.

    Turns in which the student chose nothing take no part in the scaling; their tokens weigh 0.

    Args:
        lowest: no turn of the student's weighs less; without it the turn that is lowest in both weighs nothing.

    Source: ATOD, arXiv:2606.27814 (T-DUR).
    """

    @requires(needs=needs_of(disagreement, surprisal))
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        own = student_tokens(table, context)
        acted, rollout = acted_turns(table, own), table.turns["rollout"]
        scaled = [
            min_max_within(student_turn_mean(column(table, context), table, own)[acted], rollout[acted])
            for column in (disagreement, surprisal)
        ]
        combined = torch.zeros(rollout.numel(), dtype=scaled[0].dtype)
        combined[acted] = soft_or(*scaled).clamp_min(lowest)
        return combined[table["turn"]]

    return TurnWeight("tdur", weight)


def token_soft_or(*, lowest: float = 0.0) -> TurnWeight:
    """``turn_soft_or`` with each token in a turn's place, [N]: the paper's token-level ablation.

    Source: ATOD, arXiv:2606.27814.
    """

    @requires(needs=needs_of(disagreement, surprisal))
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        own, rollout = student_tokens(table, context), table["rollout"]
        scaled = [min_max_within(column(table, context)[own], rollout[own]) for column in (disagreement, surprisal)]
        combined = torch.zeros(rollout.numel(), dtype=scaled[0].dtype)
        combined[own] = soft_or(*scaled).clamp_min(lowest)
        return combined

    return TurnWeight("tdur", weight)


def step_ratio(*, epsilon: float = 1e-6, excess: float = 0.2) -> TurnWeight:
    """w_k = min((d_1 + epsilon) / (d_k + epsilon), 1 + excess) a turn, [N], d_k = mean |log ratio| over turn k.

    The product over u < k of (d_u + epsilon) / (d_{u+1} + epsilon), cut from above: a turn that drifted further from
    the teacher than the first one weighs less. The first turn is the first in which the student chose a token.

    Source: SOD, arXiv:2605.07725.
    """

    @requires(needs=needs_of(disagreement))
    def weight(table: TokenTable, context: PlanContext) -> Tensor:
        own = student_tokens(table, context)
        drift = student_turn_mean(disagreement(table, context), table, own) + epsilon
        first = first_in_rollout(acted_turns(table, own), table.turns["rollout"], num_rollouts=table.num_rollouts)
        weights = (drift[first[table.turns["rollout"]]] / drift).clamp_max(1 + excess)
        return weights[table["turn"]]

    return TurnWeight("step_ratio", weight)


def acted_turns(table: TokenTable, own: Bool[Tensor, "n"]) -> Bool[Tensor, "u"]:
    """Turns in which the student chose at least one token."""
    return torch.bincount(table["turn"][own], minlength=table.turns["rollout"].numel()) > 0


def student_turn_mean(column: Float[Tensor, "n"], table: TokenTable, own: Bool[Tensor, "n"]) -> Float[Tensor, "u"]:
    """Mean of a token column over the student's tokens of each turn; 0 where there are none."""
    return turn_mean(column[own], table["turn"][own], num_turns=table.turns["rollout"].numel())


def first_in_rollout(turns: Bool[Tensor, "u"], rollout: Int[Tensor, "u"], *, num_rollouts: int) -> Int[Tensor, "r"]:
    """The first of the marked turns of each rollout, as a row of the turn table; 0 where a rollout has none."""
    last = turns.numel()
    rows = torch.arange(last).masked_fill(~turns, last)
    first = torch.full((num_rollouts,), last).scatter_reduce(0, rollout, rows, "amin")
    return first.masked_fill(first == last, 0)


@requires("teacher_logprob", "student_logprob")
def disagreement(table: TokenTable, context: PlanContext) -> Tensor:
    """|log pi_T - log pi_S| of the token that stands there, [N] nats."""
    return (logprob_of("teacher")(table, context) - table["student_logprob"]).abs()


@requires("student_logprob")
def surprisal(table: TokenTable, _: PlanContext) -> Tensor:
    """-log pi_S of the token that stands there, [N] nats."""
    return -table["student_logprob"]
