"""What the docstrings of methods claim, written once: sums over the states that a chain's student reaches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tests.objectives.oracle import Chain, expected_gradient, gradient_of
from understudy.objectives.context import PlanContext
from understudy.objectives.methods import MethodConfig, objective_of
from understudy.rollouts import Origin


def on_policy(config: MethodConfig, chain: Chain, *, k: int = 2, context: PlanContext | None = None) -> Tensor:
    """The plan's gradient in expectation over everything the student could have written."""
    return expected_gradient(
        objective_of(config),
        chain,
        origin=Origin.STUDENT,
        probability=chain.sequence_logprob(chain.logits).exp(),
        context=context,
        k=k,
    )


def at_visited_states(chain: Chain, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Gradient of sum over states of reach(state) * loss(live log-probs [P, V]) [P], the reach held fixed."""
    reach = chain.reach(chain.logits).detach()
    return gradient_of(lambda logits: (reach * loss(logits.log_softmax(1))).sum(), chain)


def pulled_by(advantage: Tensor, chain: Chain) -> Callable[[Tensor], Tensor]:
    """The loss of each state under the policy gradient of ``advantage`` [P, V], in expectation over the next token."""
    probability = chain.logits.detach().softmax(1)
    return lambda live: -(probability * advantage * live).sum(1)


def log_ratio(chain: Chain) -> Tensor:
    """[P, V] log T - log S, constants."""
    return chain.teacher.log_softmax(1) - chain.logits.detach().log_softmax(1)


def reverse_kl(chain: Chain) -> Callable[[Tensor], Tensor]:
    """KL(S||T) of each state."""
    teacher = chain.teacher.log_softmax(1)
    return lambda live: (live.exp() * (live - teacher)).sum(1)


def forward_kl_top_k(chain: Chain, k: int) -> Callable[[Tensor], Tensor]:
    """sum over the teacher's top k of T (log T - log S) of each state, probabilities as they are."""
    top = chain.teacher.log_softmax(1).topk(k)
    return lambda live: (top.values.exp() * (top.values - live.gather(1, top.indices))).sum(1)


def distance(found: Tensor, claim: Tensor) -> float:
    """The largest difference of two gradients."""
    return float((found - claim).abs().max())


def sampled_loss(chain: Chain, advantage: Callable[[Tensor, tuple[int, ...]], Tensor]) -> Tensor:
    """Gradient of E over sequences of -sum_t a_t log S(y_t), a [T] made of the sequence's log-ratios [T] and tokens."""
    probability = chain.sequence_logprob(chain.logits).exp().detach()
    ratio = log_ratio(chain)

    def loss(logits: Tensor) -> Tensor:
        live = logits.log_softmax(1)
        total = torch.zeros((), dtype=torch.float64)
        for number, sequence in enumerate(chain.sequences):
            rows = torch.tensor([chain.row_of(sequence[:t]) for t in range(len(sequence))])
            tokens = torch.tensor(sequence)
            pull = advantage(ratio[rows, tokens], sequence)
            total = total - probability[number] * (pull * live[rows, tokens]).sum()
        return total

    return gradient_of(loss, chain)
