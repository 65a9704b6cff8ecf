"""Training without noise: a tabular student, every text that anybody could write to it, and a real optimiser.

Each step plans the batch of all texts of all writers that the objective's ``Writing`` names, each text weighted by its
probability, so that an update follows the exact expected gradient and a measure is an exact sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tests.objectives.oracle import plan_loss
from tests.objectives.tabular_texts import Enumerated, World, enumerated, texts_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods.config import Progress
from understudy.objectives.needs import Needs
from understudy.objectives.objective import Objective
from understudy.plans import LossPlan
from understudy.rollouts import Origin
from understudy.tokens import Hidden, TokenTable, Wide


def with_columns(table: TokenTable, needs: Needs, dense: Mapping[str, Tensor], behaviour: Tensor) -> TokenTable:
    """The table with everything that the needs name, from dense log-probs [N, V] of each scorer and the sampler."""
    token = table["token_id"][:, None]
    own = table["origin"] == Origin.STUDENT
    narrow = {"behaviour_logprob": behaviour.gather(1, token)[:, 0].masked_fill(~own, float("nan"))}
    for scorer, logprobs in dense.items():
        narrow[f"{scorer}_logprob"] = logprobs.gather(1, token)[:, 0]
        narrow[f"{scorer}_entropy"] = -(logprobs.exp() * logprobs).sum(1)
    table = table.with_tokens(**narrow)
    for scorer, k in needs.top_k.items():
        top = dense[scorer].topk(min(k, dense[scorer].shape[1]))
        table = table.with_wide(**{f"{scorer}_top_k": Wide(top.indices, top.values)})
    for scorer, column in sorted(needs.at_ids):
        ids = table.wide_column(column).ids
        table = table.with_wide(**{f"{scorer}_at_{column}": Wide(ids, dense[scorer].gather(1, ids))})
    return table.with_hidden(**{name: Hidden(dense[name], lambda states: states) for name in needs.hidden})


def flipped(plan: LossPlan) -> LossPlan:
    """The same plan with every weight negated."""
    return replace(plan, terms=[replace(term, weights=-term.weights) for term in plan.terms])


@dataclass
class TabularRun:
    """Trains the world's student and keeps what it became.

    Args:
        sign: -1 follows every plan the wrong way.
    """

    objective: Objective
    world: World
    steps: int = 20
    learning_rate: float = 0.1
    sign: int = 1
    batches: dict[tuple[object, ...], Enumerated] = field(default_factory=dict)

    def trained(self) -> Tensor:
        """[P, V] the student's logits after the last step."""
        logits = self.world.start.clone().requires_grad_()
        optimizer = torch.optim.Adam([logits], lr=self.learning_rate)
        for step in range(self.steps):
            self._step(PlanContext(step=step, total_steps=self.steps), logits, optimizer)
        return logits.detach()

    def _step(self, context: PlanContext, logits: Tensor, optimizer: torch.optim.Optimizer) -> None:
        world, writing = self.world, self.objective.writing
        batch = self._batch(context)
        sampler = world.start if writing.weights == "initial" else logits.detach()
        sources = {"student": logits.detach(), "teacher": world.chain.teacher, "reference": world.start}
        dense = {name: source.log_softmax(1)[batch.rows] for name, source in sources.items()}
        table = with_columns(batch.table, self.objective.needs, dense, sampler.log_softmax(1)[batch.rows])
        scale = batch.probability(world, writing, sampler)
        for plan in self.objective.plan(table, context):
            chosen = plan if self.sign > 0 else flipped(plan)
            targets = {name: source[batch.rows] for name, source in sources.items()}
            optimizer.zero_grad()
            loss = plan_loss(chosen, logits[batch.rows], targets=targets, scale=scale)
            if loss.requires_grad:
                loss.backward()
                optimizer.step()

    def _batch(self, context: PlanContext) -> Enumerated:
        """Texts change with the step only where a prefix or a window does."""
        texts = texts_of(self.objective.writing, self.world.chain, context)
        key = tuple(itertools.chain.from_iterable(texts.values()))
        if key not in self.batches:
            self.batches[key] = enumerated(texts, self.world)
        return self.batches[key]


def distance(progress: Progress, world: World, student: Tensor) -> float:
    """How far a measure of progress is from the best it can be: 0 at the optimum, in the measure's own unit."""
    chain = world.chain
    live, teacher = student.log_softmax(1), chain.teacher.log_softmax(1)
    if progress in ("reverse_kl", "forward_kl", "jsd"):
        middle = torch.logaddexp(live, teacher) - torch.tensor(2.0).double().log()
        per_state = {
            "reverse_kl": _kl(live, teacher),
            "forward_kl": _kl(teacher, live),
            "jsd": (_kl(live, middle) + _kl(teacher, middle)) / 2,
        }[progress]
        return float((chain.reach(student) * per_state).sum())
    each = chain.sequence_logprob(student)
    if progress == "reward":
        rewards = torch.tensor([world.reward(s) for s in chain.sequences]).double()
        return float(1 - (each.exp() * rewards).sum())
    author = chain.sequence_logprob(world.data if progress == "data_nll" else chain.teacher)
    return float((author.exp() * (author - each)).sum())


def _kl(p: Tensor, q: Tensor) -> Tensor:
    return (p.exp() * (p - q)).sum(1)
