"""Divergences written out anew, and their gradient at the states that a chain's student visits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tests.objectives.oracle import Chain, expected_gradient, gradient_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import MethodConfig, objective_of
from understudy.rollouts import Origin

RowClaim = Callable[[Tensor, Tensor], Tensor]
"""(live log-probs [P, V], teacher's log-probs [P, V]) -> a loss for each state, [P]."""


def on_own_text(config: MethodConfig, chain: Chain, *, k: int = 2, context: PlanContext | None = None) -> Tensor:
    """The gradient of the method's plan, in expectation over all sequences that the student may write."""
    probability = chain.sequence_logprob(chain.logits).exp()
    objective = objective_of(config)
    return expected_gradient(objective, chain, origin=Origin.STUDENT, probability=probability, context=context, k=k)


def at_visited_states(loss: RowClaim, chain: Chain) -> Tensor:
    """The gradient of a loss of each state, weighted by how often the student comes there (a constant)."""
    reach, teacher = chain.reach(chain.logits).detach(), chain.teacher.log_softmax(1)
    return gradient_of(lambda logits: (reach * loss(logits.log_softmax(1), teacher)).sum(), chain)


def self_taught(chain: Chain) -> Chain:
    """The chain with a teacher that equals the student."""
    return replace(chain, teacher=chain.logits.detach().clone())


def difference(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference."""
    return float((a - b).abs().max())


def forward_kl(live: Tensor, teacher: Tensor) -> Tensor:
    return (teacher.exp() * (teacher - live)).sum(1)


def reverse_kl(live: Tensor, teacher: Tensor) -> Tensor:
    return (live.exp() * (live - teacher)).sum(1)


def jsd(live: Tensor, teacher: Tensor, *, beta: float) -> Tensor:
    if beta == 0:
        return forward_kl(live, teacher)
    if beta == 1:
        return reverse_kl(live, teacher)
    middle = (beta * teacher.exp() + (1 - beta) * live.exp()).log()
    return beta * forward_kl(middle, teacher) + (1 - beta) * reverse_kl(live, middle)


def renormalised(logprobs: Tensor) -> Tensor:
    return logprobs - logprobs.logsumexp(1, keepdim=True)


def with_tail(logprobs: Tensor) -> Tensor:
    return torch.cat([logprobs, (1 - logprobs.exp().sum(1, keepdim=True)).log()], dim=1)
