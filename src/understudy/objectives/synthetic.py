"""A random batch that an objective can plan, for whoever wants to see its plan before there are models."""

from __future__ import annotations

import torch

from understudy.objectives.needs import Needs
from understudy.objectives.objective import Objective
from understudy.objectives.writing import ExpertReplay
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import Batch, Hidden, TokenTable, Wide, batch_of


def synthetic_batch(objective: Objective, *, num_rollouts: int = 8, length: int = 16) -> Batch:
    """A random batch with every column the objective needs, its tokens written by the mix's writers in turn.

    Where a teacher begins the student's rollouts, it wrote their first half.
    """
    mix, writing = objective.mix, objective.writing
    is_begun = writing.prefix is not None or isinstance(writing.turns, ExpertReplay)
    origins = [
        origin
        for origin, share in ((Origin.STUDENT, mix.student), (Origin.TEACHER, mix.teacher), (Origin.DATA, mix.data))
        if share > 0
    ]
    who = [origins[n % len(origins)] for n in range(num_rollouts)]
    rollouts = [
        _synthetic_rollout(n, origin, length, num_given=length // 2 if is_begun and origin == Origin.STUDENT else 0)
        for n, origin in enumerate(who)
    ]
    batch = batch_of(rollouts, contexts_of(rollouts))
    return Batch(batch.contexts, _with_needed_columns(batch.table, objective.needs))


def synthetic_table(objective: Objective, *, num_rollouts: int = 8, length: int = 16) -> TokenTable:
    """The table of ``synthetic_batch``."""
    return synthetic_batch(objective, num_rollouts=num_rollouts, length=length).table


def _synthetic_rollout(number: int, origin: Origin, length: int, *, num_given: int = 0) -> Rollout:
    ids = torch.arange(length)
    given = ids < num_given
    turn = Turn(
        prompt_ids=torch.zeros(4, dtype=torch.int64),
        completion_ids=ids,
        origin=torch.where(given, Origin.TEACHER, origin),
        behaviour_logprob=torch.full((length,), -1.0).masked_fill(given, float("nan")),
        weight_version=torch.zeros_like(ids),
        finish_reason=FinishReason.STOP,
    )
    return Rollout(
        key=number,
        group=number // 2,
        problem=str(number),
        turns=(turn,),
        finish_reason=FinishReason.STOP,
        reward=float(number % 2),
        correct=bool(number % 2),
    )


def _with_needed_columns(table: TokenTable, needs: Needs) -> TokenTable:
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return -torch.rand(shape, generator=generator) - 0.1

    count = table.num_tokens
    table = table.with_tokens(**{name: random(count) for name in sorted(needs.columns) if name not in table.tokens})
    wide = {
        f"{scorer}_top_k": Wide(torch.arange(k).expand(count, k), random(count, k).log_softmax(1))
        for scorer, k in needs.top_k.items()
    }
    for scorer, column in sorted(needs.at_ids):
        wide[f"{scorer}_at_{column}"] = Wide(wide[column].ids, random(*wide[column].ids.shape))
    hidden = {scorer: Hidden(torch.zeros(count, 1), lambda states: states) for scorer in needs.hidden}
    return table.with_wide(**wide).with_hidden(**hidden)
