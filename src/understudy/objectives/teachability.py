"""Teachability: how clearly the teacher tells the student's own candidates apart, and where in a response that ends."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from understudy.errors import RecipeError
from understudy.objectives.change_point import downward_change
from understudy.objectives.context import PlanContext, Slot
from understudy.objectives.gates import Gate, student_tokens
from understudy.objectives.needs import needs_of, requires
from understudy.objectives.supports import student_top_k
from understudy.objectives.within import sum_before
from understudy.tokens import TokenTable


def teacher_margin(k: int) -> Slot:
    """The teacher's probability of its favourite among the student's top K, minus that of its second, [N] in [0, 1].

    Source: Prefix Teach, Suffix Fade, arXiv:2605.13643 (the paper's exact margin is not known: our choice).
    """
    support = student_top_k(k)

    @requires(needs=needs_of(support))
    def margin(table: TokenTable, _: PlanContext) -> Tensor:
        candidates = support.candidates(table)
        logprob = candidates.target.masked_fill(~candidates.counted, -torch.inf)
        best = logprob.max(1, keepdim=True)
        second = logprob.scatter(1, best.indices, -torch.inf).amax(1)
        return best.values[:, 0].exp() - second.exp()

    return margin


def blocks(num_tokens: int) -> Slot:
    """Number of the block of ``num_tokens`` of the student's own tokens that each row is in, [N] int64 from 0."""
    return requires()(lambda table, context: _own_before(table, context) // num_tokens)


def sentences(ends: Sequence[int | str]) -> Slot:
    """Number of the sentence that each row is in, [N] int64 from 0; a token of ``ends`` closes its sentence.

    Args:
        ends: ids; a text stands for a token whose id is not known yet and is refused when the step is planned.
    """

    @requires()
    def number(table: TokenTable, context: PlanContext) -> Tensor:
        unknown = [end for end in ends if isinstance(end, str)]
        if unknown:
            raise RecipeError(
                f"sentence end {unknown[0]!r} has no id",
                remedy="Name it by its id, or resolve the method's tokens with with_token_ids(tokenizer).",
            )
        closing = torch.isin(table["token_id"], torch.tensor(ends, dtype=torch.int64))
        closing &= student_tokens(table, context)
        return sum_before(closing.double(), rollout=table["rollout"], index=table["index_in_rollout"]).long()

    return number


def teachable_prefix(margin: Slot, *, part: Slot, shortest: int = 2) -> Gate:
    """The student's own tokens before the margin drops for good, all of them where it does not.

    The margin is averaged over each part of the response; ``downward_change`` finds the drop in the series of means.

    Args:
        margin: [N]. part: [N] int64, rising along the rollout. shortest: parts on either side of a drop, at least.

    Source: Prefix Teach, Suffix Fade, arXiv:2605.13643.
    """

    @requires(needs=needs_of(margin, part))
    def column(table: TokenTable, context: PlanContext) -> Tensor:
        own = student_tokens(table, context)
        number = part(table, context)
        means, counts = _means(margin(table, context)[own], table["rollout"][own], number[own], table.num_rollouts)
        kept = downward_change(means, counts > 0, shortest=shortest)
        return own & (number < kept[table["rollout"]])

    return Gate("teachable", column)


def _own_before(table: TokenTable, context: PlanContext) -> Tensor:
    own = student_tokens(table, context).double()
    return sum_before(own, rollout=table["rollout"], index=table["index_in_rollout"]).long()


def _means(values: Tensor, rollout: Tensor, part: Tensor, num_rollouts: int) -> tuple[Tensor, Tensor]:
    """[R, S] mean of each part of each rollout, and how many tokens it has."""
    size = (num_rollouts, int(part.max()) + 1 if part.numel() else 0)
    total = torch.zeros(size, dtype=torch.float64).index_put_((rollout, part), values.double(), accumulate=True)
    counts = torch.zeros(size, dtype=torch.float64).index_put_(
        (rollout, part), torch.ones_like(values, dtype=torch.float64), accumulate=True
    )
    return total / counts.clamp_min(1), counts
