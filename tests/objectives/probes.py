"""Hand-made batches with dense float64 student, teacher and sampler, planned on one or several ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tests.fake_world import on_ranks
from tests.objectives.oracle import fill, plan_loss
from understudy.objectives.context import PlanContext
from understudy.objectives.objective import Objective
from understudy.plans import LossPlan
from understudy.rollouts import FinishReason, Origin, Rollout, Turn, contexts_of
from understudy.tokens import TokenTable, batch_of
from understudy.world import SingleProcess

VOCABULARY, FEATURES, TOP_K = 9, 5, 4


def turn(length: int, *, prompt: Sequence[int], origin: int = Origin.STUDENT, version: int = 3, seed: int = 0) -> Turn:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(VOCABULARY, (length,), generator=generator)
    return Turn(
        prompt_ids=torch.tensor(prompt),
        completion_ids=ids,
        origin=torch.full_like(ids, origin),
        behaviour_logprob=torch.zeros(length),
        weight_version=torch.full_like(ids, version),
        finish_reason=FinishReason.STOP,
    )


def rollouts_of(lengths: Sequence[Sequence[int]], *, per_group: int = 2) -> list[Rollout]:
    """One rollout an entry, one fresh-prompt turn a length; no lengths is an empty, aborted rollout."""
    return [
        Rollout(
            key=100 + number,
            group=number // per_group,
            problem=str(number),
            turns=tuple(turn(n, prompt=[1, 2 + i], seed=17 * number + i) for i, n in enumerate(row)),
            finish_reason=FinishReason.STOP if row else FinishReason.FAILED,
            reward=float((number * 7) % 5) if row else None,
        )
        for number, row in enumerate(lengths)
    ]


@dataclass
class Probe:
    """A batch and the dense distributions behind its columns.

    Args:
        features: [N, FEATURES]; the student's logits are ``features @ weight``, so ranks share a parameter.
        teacher, behaviour: [N, V] log-probs.
    """

    rollouts: list[Rollout]
    table: TokenTable
    features: Tensor
    teacher: Tensor
    weight: Tensor

    def gradient(self, plans: Sequence[LossPlan], number: int = 0) -> Tensor:
        loss = plan_loss(plans[number], self.features @ self.weight, targets={"teacher": self.teacher})
        return torch.autograd.grad(loss, self.weight)[0] if loss.requires_grad else torch.zeros_like(self.weight)

    @property
    def live(self) -> Tensor:
        return (self.features @ self.weight).log_softmax(1)

    def claimed(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Gradient of an explicitly written loss of the live log-probs [N, V]."""
        return torch.autograd.grad(loss(self.live), self.weight)[0]

    def at_token(self, logprobs: Tensor) -> Tensor:
        return logprobs.gather(1, self.table["token_id"][:, None])[:, 0]

    def shard(self, groups: Sequence[int]) -> Probe:
        """What one rank holds: the rollouts of these groups."""
        mine = [number for number, rollout in enumerate(self.rollouts) if rollout.group in groups]
        rows = torch.isin(self.table["rollout"], torch.tensor(mine))
        kept = [self.rollouts[number] for number in mine]
        table = batch_of(kept, contexts_of(kept)).table
        table = table.with_tokens(
            **{name: self.table[name][rows] for name in self.table.tokens if name not in table.tokens},
            behaviour_logprob=self.table["behaviour_logprob"][rows],
        )
        table = table.with_wide(
            **{n: replace(w, ids=w.ids[rows], logprobs=w.logprobs[rows]) for n, w in self.table.wide.items()}
        )
        table = table.with_hidden(**{n: replace(h, states=h.states[rows]) for n, h in self.table.hidden.items()})
        return Probe(kept, table, self.features[rows], self.teacher[rows], self.weight)


def make_probe(rollouts: list[Rollout], *, seed: int = 0, drift: float = 0.3) -> Probe:
    """Columns filled from random dense distributions; the sampler differs from the student by ``drift``."""
    table = batch_of(rollouts, contexts_of(rollouts)).table
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    features, weight = normal(table.num_tokens, FEATURES), normal(FEATURES, VOCABULARY).requires_grad_()
    logits = (features @ weight).detach()
    teacher = normal(table.num_tokens, VOCABULARY).log_softmax(1)
    sampler = (logits + drift * normal(table.num_tokens, VOCABULARY)).log_softmax(1)
    table = fill(table, student=logits.log_softmax(1), teacher=teacher, behaviour=sampler, k=TOP_K)
    return Probe(rollouts, table, features, teacher, weight)


def check_on_ranks(objective: Objective, probe: Probe, *, context: PlanContext | None = None) -> list[Tensor]:
    """The gradient of each update on one process, after checking that two ranks together give the same."""
    context = context or PlanContext(step=4, total_steps=9, seed=5)
    single = objective.plan(probe.table, replace(context, world=SingleProcess()))
    gradients = [probe.gradient(single, number) for number in range(len(single))]
    groups = sorted({rollout.group for rollout in probe.rollouts})
    middle = (len(groups) + 1) // 2
    shards = [probe.shard(groups[:middle]), probe.shard(groups[middle:])]

    def work(rank: int, world: object) -> list[LossPlan]:
        return objective.plan(shards[rank].table, replace(context, world=world))

    by_rank = on_ranks(work, 2)
    for number, gradient in enumerate(gradients):
        together = sum(shard.gradient(plans, number) for shard, plans in zip(shards, by_rank, strict=True))
        assert (together - gradient).abs().max() < 1e-12
        for name, figure in single[number].statistics.items():
            for plans in by_rank:
                assert abs(plans[number].statistics[name] - figure) < 1e-12, name
    return gradients
